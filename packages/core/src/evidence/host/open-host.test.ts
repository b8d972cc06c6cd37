import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { bytesSource } from "../byte-source.ts";
import { inOnePiece } from "../input/chunks.ts";
import { elfOf } from "../kernel/testing/elf-writer.ts";
import { type HostFile, type HostPlatform, openHost, openHostFiles } from "./open-host.ts";
import { memoryFiles } from "./testing/memory-files.ts";

const none = (): never => {
  throw new Error("no decoder");
};
const told: string[] = [];
const platform: HostPlatform = {
  expanders: { gzip: none, xz: none, zstd: none },
  codecs: { zlib: none, zstd: none },
  progress: (text) => told.push(text()),
};

function file(content: string | Uint8Array): HostFile {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return { name: "a file", chunks: () => inOnePiece(bytes) };
}

const empty = { virtual: 0n, physical: 0x1000n, bytes: new Uint8Array() };
const interrupts = "           CPU0\n 24:          5  IR-PCI-MSI-0000:00:03.0    0-edge      virtio0\n";

describe("a file", () => {
  test("is opened as what it holds", async () => {
    const host = await openHost(file(interrupts), "a source", platform);
    expect(host).toMatchObject({ source: "a source", interrupts: [{ irq: 24 }] });
    const trace = await openHost(file("vtd_ir_enable enable 1\n".repeat(3)), "b", platform);
    expect(trace).toMatchObject({ source: "b", units: [{ vendor: "intel" }] });
    expect(told).toContain("3 lines");
  });

  test.each([
    ["without a meaning", new Uint8Array(10), "a file: expected a folder, a tar archive"],
    ["of text that nobody knows", "hello", "a file: line 1: expected"],
    ["that is empty", "", "a file: it is empty"],
    ["of blanks", " \n\n", "a file: it is empty"],
    [
      "of words that look like events of a trace",
      "reg_base_addr fed90000 ver 1:0\n",
      "a file: line 1: expected",
    ],
    ["of a dump without memory", elfOf([]), "a file: expected a VMCOREINFO note of a Linux kernel"],
    ["of a dump of nothing", elfOf([empty]), "a file: expected a VMCOREINFO note of a Linux kernel"],
    ["of a dump that is cut off", "\u007fELF", "a file: offset 0x0: expected 64 bytes"],
    ["of another kind of dump", "KDUMP   ".padEnd(9000, "x"), "a file: "],
  ])("%s ends in one line that names it", async (_, content, message) => {
    await expect(openHost(file(content), "a source", platform)).rejects.toMatchObject({
      name: "InputError",
      message: expect.stringMatching(new RegExp(`^${message}[^\\n]*$`)) as string,
    });
  });

  test("that was compressed twice is not guessed at", async () => {
    const twice = { ...platform.expanders, gzip: () => inOnePiece(Uint8Array.of(0x1f, 0x8b, 8, 1, 1, 1)) };
    await expect(
      openHost(file(Uint8Array.of(0x1f, 0x8b)), "a source", { ...platform, expanders: twice }),
    ).rejects.toThrow("a file: compressed twice: expand it once");
  });

  test("is named also where what is wrong begins as its name does", async () => {
    const short = { ...file(new Uint8Array(10)), name: "e" };
    await expect(openHost(short, "a source", platform)).rejects.toThrow(/^e: expected a folder/);
  });

  test("is read by position where it can be, and closed whatever comes of it", async () => {
    const bytes = readFileSync(new URL("../fixtures/intel-debugfs.txt", import.meta.url));
    bytes.write("\u007fELF", "latin1");
    let [reads, closed] = [0, 0];
    const source = bytesSource(bytes);
    const opened: HostFile = {
      ...file(bytes),
      open: () => ({
        name: "a file",
        size: source.size,
        read: (offset, length) => {
          reads++;
          return source.read(offset, length);
        },
        close: () => void closed++,
      }),
    };
    await expect(openHost(opened, "a source", platform)).rejects.toThrow(
      "a file: offset 0x4: expected a 64-bit",
    );
    expect(reads).toBeGreaterThan(0);
    expect(closed).toBe(1);
  });
});

test("files of a machine that say nothing of it end in one line, with what the platform can read", async () => {
  const files = memoryFiles({ "etc/hostname": "a" });
  await expect(openHostFiles(files, "a source", { ...platform, accepted: "live, or text" })).rejects.toThrow(
    /: nothing of a host in it.*: expected live, or text$/,
  );
});
