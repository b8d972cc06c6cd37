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

test.each([
  ["a file", { path: "dmesg", content: Uint8Array.of(7) }, Uint8Array.of(7)],
  ["a link", { path: "dmesg", content: "other" }, Uint8Array.of(1)],
  ["a file that is too large to keep", { path: "dmesg", content: null }, null],
] as const)("of entries of one path the last one stands: %s", (_, last, content) => {
  for (const first of [Uint8Array.of(9), "nowhere", null]) {
    const kept = [{ path: "other", content: Uint8Array.of(1) }, { path: "dmesg", content: first }, last];
    const files = keptFiles(kept, "a", roots);
    expect(files.list("")).toEqual(["dmesg", "other"]);
    expect(files.link("dmesg")).toBe(typeof last.content === "string" ? last.content : undefined);
    if (content === null) expect(() => files.read("dmesg")).toThrow("a: dmesg: too large to be kept");
    else expect(files.read("dmesg")).toEqual(content);
  }
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
