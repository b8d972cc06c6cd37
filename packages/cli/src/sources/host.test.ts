import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import { HostDraft, type HostState } from "@intremap/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bootPath } from "../testing/captured-boot.ts";
import { capturePath } from "../testing/captured-host.ts";
import { testIo } from "../testing/test-io.ts";
import { readHost } from "./host.ts";
import { readLive } from "./live.ts";

const core = fileURLToPath(new URL("../../../../captures/intel61-hold.core.xz", import.meta.url));
const kdump = fileURLToPath(
  new URL("../../../core/src/evidence/fixtures/qemu-10.0-kdump.br", import.meta.url),
);

let folder: string;
let elf: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "intremap-host-"));
  elf = join(folder, "a");
  writeFileSync(elf, execFileSync("xz", ["--decompress", "--stdout", core], { maxBuffer: 2 ** 28 }));
});

afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function read(from: string, input?: string | Uint8Array): Promise<Omit<HostState, "source">> {
  const io = testIo(input);
  const { source, ...host } = await readHost(from, io);
  expect(source).toBe(from);
  expect(io.err()).toBe("");
  return host;
}

describe("a dump", () => {
  test("is read by position, and is the same host when it is compressed, whatever it is called", async () => {
    const host = await read(elf);
    expect(host.interrupts.length).toBe(42);
    expect(host.units).toMatchObject([{ name: "dmar0" }]);
    expect(host.log).toBeDefined();
    expect(await read(core)).toEqual(host);
    const bytes = readFileSync(elf);
    expect(await read(file("interrupts.txt", zlib.gzipSync(bytes, { level: 1 })))).toEqual(host);
  });

  test("is read from standard input", async () => {
    const small = zlib.brotliDecompressSync(readFileSync(kdump));
    await expect(read("-", small)).rejects.toThrow(
      "standard input: expected a VMCOREINFO note of a Linux kernel",
    );
  });

  test("cut off, or of something else, ends in one line that names it", async () => {
    const bytes = readFileSync(elf);
    for (const length of [10, 100, 5000, 200_000, bytes.length - 1_000_000]) {
      const path = file("cut", bytes.subarray(0, length));
      await expect(readHost(path, testIo()).then(() => "read")).rejects.toMatchObject({
        name: "InputError",
        message: expect.stringMatching(new RegExp(`^${path}: [^\\n]+$`)) as string,
      });
    }
    await expect(read(process.execPath)).rejects.toThrow(
      `${process.execPath}: offset 0x4: expected a 64-bit`,
    );
  });
});

describe("files of a machine", () => {
  test("are the same host in an archive of any compression, a folder, and a folder around it", async () => {
    const host = await read(capturePath("intel61-q72"));
    expect(host.devices.length).toBeGreaterThan(10);
    execFileSync("tar", ["-xJf", capturePath("intel61-q72"), "-C", folder]);
    const names = ["-C", folder, "intel61-q72"];
    execFileSync("tar", ["-cf", join(folder, "plain"), ...names]);
    execFileSync("tar", ["-czf", join(folder, "gzip"), ...names]);
    const around = join(folder, "around");
    mkdirSync(around);
    execFileSync("cp", ["-r", join(folder, "intel61-q72"), around]);
    const inside = join(folder, "intel61-q72");
    for (const from of ["plain", "gzip"].map((name) => join(folder, name)).concat(around, inside)) {
      expect(await read(from)).toEqual(host);
    }
    expect(await read("-", readFileSync(join(folder, "gzip")))).toEqual(host);
  });

  test("with compressed tables beside them are read with the tables", async () => {
    const path = join(folder, "intel61-hold");
    execFileSync("tar", ["-xJf", capturePath("intel61-hold"), "-C", folder]);
    const host = await read(path);
    expect(host).toEqual(await read(capturePath("intel61-hold")));
    expect(host.units).toMatchObject([{ table: { value: { complete: true } } }]);
    const packed = join(path, "irt0.bin.xz");
    writeFileSync(packed, readFileSync(packed).subarray(0, 100));
    rmSync(join(path, "pmemsave-irt.bin.xz"));
    expect((await read(path)).missing).toContainEqual({
      what: "raw tables of the capture",
      why: `${path}: irt0.bin.xz: xz data: damaged or cut off`,
      needs: null,
    });
  });
});

test("text in another language and encoding is read as far as it is understood", async () => {
  const lines = [
    "# Netzwerkgerät — périphérique réseau — сетевое устройство",
    "           CPU0       CPU1",
    " 24:          5          7  IR-PCI-MSI-0000:00:03.0    0-edge      virtio0-config",
  ].join("\n");
  for (const text of [
    Buffer.from(lines),
    Buffer.from(lines, "latin1"),
    Buffer.from(`\uFEFF${lines}`, "utf16le"),
  ]) {
    const { interrupts } = await read("-", text);
    expect(interrupts).toMatchObject([{ irq: 24 }]);
  }
});

test("a trace is told from text by its lines", async () => {
  const { units } = await read(bootPath("intel"));
  expect(units).toMatchObject([{ vendor: "intel" }]);
});

describe("what says nothing of a host ends in one line", () => {
  test.each([
    ["nothing", ""],
    ["zeros", new Uint8Array(100_000)],
    ["an image", Buffer.from("\u0089PNG\r\n\u001A\n\0\0\0\rIHDR", "latin1")],
    ["other text", "hello\nworld\n"],
    ["zeros, compressed", zlib.gzipSync(new Uint8Array(10_000_000))],
    ["cut off gzip data", zlib.gzipSync("x".repeat(1000)).subarray(0, 12)],
    ["a dump of another kind", "DISKDUMP".padEnd(5000, "x")],
  ])("%s", async (_what, content) => {
    const path = file("content", content);
    for (const [from, name, input] of [
      [path, path, undefined],
      ["-", "standard input", Buffer.from(content)],
    ] as const) {
      await expect(read(from, input)).rejects.toMatchObject({
        name: "InputError",
        message: expect.stringMatching(new RegExp(`^${name}: [^\\n]+$`)) as string,
      });
    }
  });

  test("an empty folder, and no file", async () => {
    const empty = join(folder, "empty");
    mkdirSync(empty);
    await expect(read(empty)).rejects.toThrow(`${empty}: `);
    await expect(read(join(folder, "none"))).rejects.toThrow(`${join(folder, "none")}: no such file`);
  });
});

describe("the machine itself", () => {
  test.runIf(process.platform === "linux")("is read as far as it shows itself", async () => {
    const { interrupts, processors } = await read("live");
    expect(processors.length).toBeGreaterThan(0);
    expect(interrupts.length).toBeGreaterThan(0);
  });

  test("that runs another system is refused in one line", () => {
    expect(() => readLive(new HostDraft("live"), () => {}, "darwin")).toThrow(
      "live: only Linux shows what is read (this is darwin): give a folder, an archive, a dump or text with --from",
    );
  });
});
