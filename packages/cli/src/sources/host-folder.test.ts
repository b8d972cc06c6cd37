import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resolveLinks } from "@intremap/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HostFolder } from "./host-folder.ts";

let outside: string;
let root: string;

beforeAll(() => {
  outside = mkdtempSync(join(tmpdir(), "intremap-folder-"));
  root = join(outside, "root");
  mkdirSync(join(root, "proc/irq/1"), { recursive: true });
  mkdirSync(join(root, "etc"));
  writeFileSync(join(root, "proc/interrupts"), "inside");
  writeFileSync(join(root, "etc/secret"), "inside");
  writeFileSync(join(outside, "secret"), "outside");
  symlinkSync("/etc/secret", join(root, "absolute"));
  symlinkSync("../secret", join(root, "upwards"));
  symlinkSync(join(outside, "secret"), join(root, "proc/away"));
  symlinkSync("../../..", join(root, "proc/irq/out"));
  symlinkSync("b", join(root, "a"));
  symlinkSync("a", join(root, "b"));
  symlinkSync("proc", join(root, "same"));
  execFileSync("mkfifo", [join(root, "proc/pipe")]);
  writeFileSync(Buffer.concat([Buffer.from(`${root}/etc/`), Buffer.of(0xe9)]), "");
});

afterAll(() => rmSync(outside, { recursive: true }));

describe("a folder", () => {
  test("gives its files, and nothing for what is none", () => {
    const folder = new HostFolder(`${root}/`);
    expect(folder.read("proc/interrupts")).toEqual(new Uint8Array(Buffer.from("inside")));
    for (const path of ["proc/none", "none/none", "proc", "proc/interrupts/none", "x".repeat(5000), "a\0b"]) {
      expect(folder.read(path)).toBeUndefined();
    }
    expect(folder.list("proc")).toEqual(["away", "interrupts", "irq", "pipe"]);
    expect(folder.list("proc/interrupts")).toEqual([]);
    expect(folder.list("none")).toEqual([]);
  });

  test("lets no link lead out of it: an absolute one starts in it, and `..` ends at it", () => {
    const folder = new HostFolder(root);
    for (const path of [
      "absolute",
      "upwards",
      "proc/away",
      "proc/irq/out/secret",
      "../secret",
      "proc/../../secret",
    ]) {
      const bytes = folder.read(path);
      expect(bytes === undefined || Buffer.from(bytes).toString() === "inside", path).toBe(true);
    }
    expect(folder.read("absolute")).toEqual(folder.read("etc/secret"));
    expect(folder.list("proc/irq/out")).toEqual(folder.list(""));
    expect(folder.link("proc/away")).toBe(join(outside, "secret"));
    expect(folder.link("proc/interrupts")).toBeUndefined();
    expect(folder.read("same/interrupts")).toEqual(folder.read("proc/interrupts"));
  });

  test("takes links in a circle for no file", () => {
    expect(new HostFolder(root).read("a")).toBeUndefined();
    expect(new HostFolder(root, root, false).read("a")).toBeUndefined();
    expect(resolveLinks("x", () => "x/x")).toBeUndefined();
  });

  test("follows links anywhere when it is the machine itself", () => {
    const folder = new HostFolder(root, "live", false);
    expect(folder.read("proc/away")).toEqual(new Uint8Array(Buffer.from("outside")));
  });

  test("refuses what is larger than asked for, and what is no regular file, in one line", () => {
    const folder = new HostFolder(root, "a-host");
    expect(folder.read("proc/interrupts", 6)?.length).toBe(6);
    expect(() => folder.read("proc/interrupts", 5)).toThrow("a-host: proc/interrupts: more than 5 bytes");
    expect(() => folder.read("proc/pipe")).toThrow("a-host: proc/pipe: expected a regular file");
  });

  test("reads files to their end that say they are empty", () => {
    const live = new HostFolder("/", "live", false);
    expect(Buffer.from(live.read("proc/version")!).toString()).toMatch(/^Linux version/);
    expect(live.read("proc/cpuinfo")!.length).toBeGreaterThan(100);
  });

  test("lists names that are no text", () => {
    expect(new HostFolder(root).list("etc").length).toBe(2);
  });
});
