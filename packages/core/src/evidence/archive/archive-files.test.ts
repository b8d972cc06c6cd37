import { expect, test } from "vitest";
import { keptFiles } from "./archive-files.ts";

const roots = new Set(["proc", "sys"]);

test("files that are stored elsewhere are read when they are asked for, and not when they are too large", () => {
  const reads: string[] = [];
  const stored = (path: string, length: number) => ({
    path,
    content: {
      length,
      read: () => {
        reads.push(path);
        return new Uint8Array(length);
      },
    },
  });
  const files = keptFiles([stored("proc/interrupts", 5), stored("proc/large", 50)], "a", roots);
  expect(files.list("proc")).toEqual(["interrupts", "large"]);
  expect(reads).toEqual([]);
  expect(files.read("proc/interrupts")).toHaveLength(5);
  expect(() => files.read("proc/large", 49)).toThrow("a: proc/large: more than 49 bytes");
  expect(reads).toEqual(["proc/interrupts"]);
});

test("a folder around everything is taken off, unless it is one of a machine's or a file", () => {
  const content = Uint8Array.of(1);
  const list = (...paths: readonly string[]) =>
    keptFiles(
      paths.map((path) => ({ path, content })),
      "a",
      roots,
    ).list("");
  expect(list("host/proc/interrupts", "host/dmesg.txt")).toEqual(["dmesg.txt", "proc"]);
  expect(list("proc/interrupts", "proc/cpuinfo")).toEqual(["proc"]);
  expect(list("host/proc/interrupts", "dmesg.txt")).toEqual(["dmesg.txt", "host"]);
  expect(list("irq")).toEqual(["irq"]);
});
