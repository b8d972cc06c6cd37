import { execFileSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HostFiles } from "../host/files.ts";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isHeader } from "./tar-header.ts";
import { type TarLimits, type TarOptions, readTar } from "./tar.ts";

const roots = new Set(["proc", "sys"]);
const longName = `${"folder-of-a-long-name/".repeat(6)}${"file".repeat(30)}`;
const accented = "sys/né-à-côté/файл";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "intremap-tar-"));
  const put = (path: string, content: string | Uint8Array): void => {
    const whole = join(folder, "host", path);
    mkdirSync(join(whole, ".."), { recursive: true });
    writeFileSync(whole, content);
  };
  put("proc/interrupts", "           CPU0\n  0: 1 IO-APIC\n");
  put("proc/empty", "");
  put("proc/large", Buffer.alloc(200_000, 7));
  put(`sys/${longName}`, "long");
  put(accented, "accented");
  put("sys/devices/pci0000:00/0000:00:03.0/config", Buffer.of(0x86, 0x80));
  put("var/unwanted", "unwanted");
  put("sys/sparse", Buffer.alloc(10));
  truncateSync(join(folder, "host/sys/sparse"), 1_000_000);
  mkdirSync(join(folder, "host/sys/bus"));
  symlinkSync("../devices/pci0000:00/0000:00:03.0", join(folder, "host/sys/bus/0000:00:03.0"));
  symlinkSync("/proc/interrupts", join(folder, "host/sys/absolute"));
  symlinkSync("../../../../../../proc/interrupts", join(folder, "host/sys/upwards"));
  symlinkSync("circle", join(folder, "host/sys/circle"));
  symlinkSync(longName, join(folder, "host/sys/long-link"));
  linkSync(join(folder, "host/proc/interrupts"), join(folder, "host/proc/same"));
});

afterAll(() => rmSync(folder, { recursive: true }));

function archive(...args: readonly string[]): Uint8Array {
  const path = join(folder, "archive.tar");
  execFileSync("tar", ["--create", "--file", path, "--directory", folder, ...args]);
  return readFileSync(path);
}

async function* pieces(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function read(bytes: Uint8Array, options: Partial<TarOptions> = {}, size?: number): Promise<HostFiles> {
  return readTar(pieces(bytes, size), "a.tar", roots, {
    wanted: (path) => !path.includes("unwanted"),
    ...options,
  });
}

function text(files: HostFiles, path: string): string | undefined {
  const bytes = files.read(path);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}

const small: TarLimits = { entries: 100, walked: 2 ** 20, keptEntries: 50, kept: 2 ** 19, file: 2 ** 18 };

/** A header that says what it is told to; its checksum is right. */
function header(fields: {
  name?: string;
  size?: number | Uint8Array;
  type?: string;
  target?: string;
}): Buffer {
  const block = Buffer.alloc(512);
  block.write(fields.name ?? "proc/file", 0, "latin1");
  if (fields.size instanceof Uint8Array) block.set(fields.size, 124);
  else block.write((fields.size ?? 0).toString(8).padStart(11, "0"), 124, "latin1");
  block.write(fields.type ?? "0", 156, "latin1");
  block.write(fields.target ?? "", 157, "latin1");
  block.write("ustar\u000000", 257, "latin1");
  return withChecksum(block);
}

function withChecksum(block: Buffer): Buffer {
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

const end = Buffer.alloc(1024);

describe("an archive", () => {
  test.each(["gnu", "oldgnu", "pax", "posix"])(
    "by tar in its format %s has what was packed",
    async (format) => {
      for (const size of [511, 65_536]) {
        const files = await read(archive(`--format=${format}`, "host"), {}, size);
        expect(text(files, "proc/interrupts")).toBe("           CPU0\n  0: 1 IO-APIC\n");
        expect(text(files, "proc/same")).toBe(text(files, "proc/interrupts"));
        expect(text(files, "proc/empty")).toBe("");
        expect(Buffer.compare(files.read("proc/large")!, Buffer.alloc(200_000, 7))).toBe(0);
        expect(text(files, `sys/${longName}`)).toBe("long");
        expect(text(files, "sys/long-link")).toBe("long");
        expect(text(files, accented)).toBe("accented");
        expect(text(files, "var/unwanted")).toBeUndefined();
        expect(files.list("")).toEqual(["proc", "sys"]);
        expect(files.list("proc")).toEqual(["empty", "interrupts", "large", "same"]);
        expect(files.list("sys/bus")).toEqual(["0000:00:03.0"]);
        expect(files.list("none")).toEqual([]);
      }
    },
  );

  test.each(["ustar", "v7"])("by tar in its format %s has what fits it", async (format) => {
    const files = await read(archive(`--format=${format}`, "host/proc"));
    expect(files.list("proc")).toEqual(["empty", "interrupts", "large", "same"]);
  });

  test.each(["gnu", "pax"])("with sparse files, in format %s, has the others", async (format) => {
    const files = await read(archive("--sparse", `--format=${format}`, "host"));
    expect(text(files, "proc/interrupts")).toContain("IO-APIC");
    expect(text(files, accented)).toBe("accented");
  });

  test("follows links as a process would whose root it is", async () => {
    const files = await read(archive("host"));
    expect(files.link("sys/bus/0000:00:03.0")).toBe("../devices/pci0000:00/0000:00:03.0");
    expect(files.link("sys/bus")).toBeUndefined();
    expect(files.read("sys/bus/0000:00:03.0/config")).toEqual(Uint8Array.of(0x86, 0x80));
    expect(files.list("sys/bus/0000:00:03.0")).toEqual(["config"]);
    expect(text(files, "sys/absolute")).toContain("IO-APIC");
    expect(text(files, "sys/upwards")).toContain("IO-APIC");
    expect(text(files, "sys/circle")).toBeUndefined();
    expect(text(files, "../../proc/interrupts")).toContain("IO-APIC");
  });

  test("keeps the folder that is one of a machine's, though it stands alone", async () => {
    const files = await read(archive("--directory", join(folder, "host"), "proc"));
    expect(text(files, "proc/interrupts")).toContain("IO-APIC");
  });

  test("that ends without its two empty blocks is read, and nothing behind them is", async () => {
    const bytes = Buffer.concat([header({ size: 1 }), Buffer.alloc(512, "x")]);
    expect(text(await read(bytes), "proc/file")).toBe("x");
    const more = Buffer.concat([bytes, end, Buffer.alloc(512, "no header")]);
    expect(text(await read(more), "proc/file")).toBe("x");
    let walked = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield bytes;
      for (;;) {
        walked++;
        yield end;
      }
    }
    await readTar(endless(), "a.tar", roots, { wanted: () => true });
    expect(walked).toBeLessThan(5);
  });

  test("has no hard link to what a later entry of its path replaced", async () => {
    const large = [header({ name: "proc/a", size: 1024 }), Buffer.alloc(1024)];
    const link = header({ name: "proc/b", type: "1", target: "proc/a" });
    const bytes = Buffer.concat([
      header({ name: "proc/a", size: 1 }),
      Buffer.alloc(512, "x"),
      ...large,
      link,
    ]);
    const files = await read(bytes, { limits: { ...small, file: 1000 } });
    expect(files.list("proc")).toEqual(["a"]);
  });

  test("says of a file that is too large to keep that it is there", async () => {
    const files = await read(archive("host/proc"), { limits: { ...small, file: 1000 } });
    expect(files.list("proc")).toContain("large");
    expect(() => files.read("proc/large")).toThrow("a.tar: proc/large: too large to be kept of an archive");
    expect(() => files.read("proc/interrupts", 10)).toThrow("a.tar: proc/interrupts: more than 10 bytes");
  });
});

describe("an archive that cannot be right is refused in one line", () => {
  const gigabytes = 10 * 2 ** 30;
  test.each([
    [
      "a path that leads out",
      [header({ name: "proc/../../etc/passwd" })],
      'entry "proc/../../etc/passwd": expected paths',
    ],
    ["a path from the root", [header({ name: "/etc/passwd" })], 'entry "/etc/passwd": expected paths within'],
    [
      "a hard link that leads out",
      [header({ type: "1", target: "../x" })],
      'entry "../x": expected paths within',
    ],
    ["10 GB in one entry", [header({ size: gigabytes })], "entry 1 ends more than 1 MiB into the archive"],
    [
      "an endless size",
      [header({ size: Buffer.alloc(12, 0xff) })],
      "offset 0: expected the size of an entry",
    ],
    [
      "a long name of 1 GB",
      [header({ type: "L", size: 2 ** 19 })],
      "offset 0: a name or header of 524288 bytes",
    ],
    [
      "no octal size",
      [header({ size: Buffer.from("99999999999\0") })],
      "offset 0: expected the size of an entry",
    ],
    [
      "what is no header",
      [header({}), Buffer.alloc(512, "x")],
      "offset 512: expected the header of an entry",
    ],
    ["a cut", [header({ size: 600 }), Buffer.alloc(512)], "the archive is cut off, after 512 bytes"],
    ["a cut in a header", [header({}), Buffer.alloc(100, 1)], "the archive is cut off, after 512 bytes"],
    [
      "a cut in what is passed over",
      [header({ name: "unwanted", size: 600 })],
      "the archive is cut off, after ",
    ],
    [
      "a pax header of nonsense",
      [header({ type: "x", size: 9 }), Buffer.alloc(512, "nonsense ")],
      "offset 0: expected records",
    ],
    [
      "a pax record that is longer than its header",
      [header({ type: "x", size: 15 }), Buffer.from("99 path=proc/x\n".padEnd(512, "\0"))],
      "offset 0: expected records",
    ],
    [
      "a pax record that does not end where it says",
      [header({ type: "x", size: 30 }), Buffer.from("14 path=proc/x\n15 path=proc/x\n".padEnd(512, "\0"))],
      "offset 0: expected records",
    ],
    ["a path of 100 folders", [header({ name: "a/".repeat(49) })], ": 49 folders deep"],
    [
      "more entries than a machine has",
      Array.from({ length: 101 }, () => header({ type: "5" })),
      "more than 100 entries",
    ],
    [
      "more files than a machine has",
      Array.from({ length: 51 }, () => header({})),
      "more than 50 files or 524288 bytes",
    ],
  ] satisfies [string, Buffer[], string][])("%s", async (_what, blocks, message) => {
    const limits = { ...small, walked: 2 ** 20 };
    await expect(read(Buffer.concat(blocks), { limits })).rejects.toThrow(message);
    await expect(read(Buffer.concat(blocks), { limits })).rejects.toMatchObject({
      name: "InputError",
      message: expect.stringMatching(/^a\.tar: [^\n]*$/) as string,
    });
  });

  test("that names it also where the message begins as its name does", async () => {
    const bytes = header({ name: "/etc/passwd" });
    await expect(readTar(pieces(bytes), "e", roots, { wanted: () => true })).rejects.toThrow(/^e: entry/);
  });

  test("zeros without an end, in entries, end at the limit", async () => {
    let walked = 0;
    async function* zeros(): AsyncGenerator<Uint8Array> {
      for (;;) {
        yield header({ name: "unwanted", size: 2 ** 17 });
        for (let i = 0; i < 2; i++) yield Buffer.alloc(2 ** 16);
        walked += 2 ** 17;
      }
    }
    await expect(readTar(zeros(), "a.tar", roots, { wanted: () => false, limits: small })).rejects.toThrow(
      "a.tar: entry 8 ends more than 1 MiB into the archive, which is the most that is walked",
    );
    expect(walked).toBeLessThanOrEqual(2 ** 20);
  });

  test("a damaged one ends in nothing but one error, or reads", async () => {
    const bytes = archive("--format=pax", "--exclude=sparse", "host");
    const changes = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(changes, fc.boolean(), async (all, resum) => {
        const damaged = Buffer.from(bytes);
        for (const [at, value] of all) {
          damaged[at] = value;
          const block = damaged.subarray(at - (at % 512), at - (at % 512) + 512);
          // Most damage is caught by the checksum: behind it, less is.
          if (resum && isHeader(bytes.subarray(at - (at % 512), at - (at % 512) + 512))) withChecksum(block);
        }
        await read(damaged).catch((error: unknown) => {
          expect(error).toMatchObject({ name: "InputError" });
        });
      }),
      { numRuns: 300 },
    );
  });
});
