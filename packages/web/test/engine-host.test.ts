import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packHost } from "@intremap/core";
import { run } from "../../cli/src/program.ts";
import { readHost } from "../../cli/src/sources/host.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { askEngine, openPicked, startEngine } from "./engine.ts";
import { browserMissing, closePage, openPage } from "./page.ts";

const captures = fileURLToPath(new URL("../../../captures/", import.meta.url));

let folder: string;
let core: string;
let page: Page;
beforeAll(async () => {
  if (browserMissing) return;
  folder = mkdtempSync(join(tmpdir(), "intremap-engine-"));
  execFileSync("tar", ["-xJf", join(captures, "intel61-hold.tar.xz"), "-C", folder]);
  core = join(folder, "core");
  const packed = join(captures, "intel61-hold.core.xz");
  writeFileSync(core, execFileSync("xz", ["-dc", packed], { maxBuffer: 2 ** 28 }));
  page = await openPage();
  await startEngine(page);
}, 60_000);
afterAll(async () => {
  if (browserMissing) return;
  await closePage(page);
  rmSync(folder, { recursive: true });
});

/** What a command prints with `--json`, without its schema. */
async function printed(args: readonly string[], input?: string): Promise<unknown> {
  const io = testIo(input);
  await run([...args, "--json"], io);
  expect(io.err()).toBe("");
  const { schema: _, ...document } = JSON.parse(io.out()) as { schema: string };
  return document;
}

/** What the command says of an input that it cannot use, in one line. */
async function refusal(path: string): Promise<string> {
  const io = testIo();
  expect(await run(["map", "--from", path], io)).toBe(2);
  const line = /^intremap: ([^\n]+)\n$/.exec(io.err())?.[1];
  // The page does not read the machine that it runs on.
  return line?.replace("expected live, ", "expected ") ?? io.err();
}

function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? `0x${one.toString(16)}` : one)),
  );
}

/** The document that the page makes of the host that is open, without its schema. */
async function documentOf(command: "map" | "audit"): Promise<object> {
  const { result } = await askEngine(page, "hostDocument", command);
  const { schema: _, ...document } = JSON.parse(new TextDecoder().decode(result)) as { schema: string };
  return document;
}

/** Opens what is there under its path, so that messages and the map name it as the command does. */
async function open(path: string): Promise<readonly string[]> {
  const began = performance.now();
  const progress = await openPicked(page, path, path);
  console.log(`${path.slice(path.lastIndexOf("/") + 1)}: ${Math.round(performance.now() - began)} ms`);
  return progress;
}

/** What the page says of an input that it cannot use. */
async function refused(path: string): Promise<string> {
  const began = performance.now();
  const error = await open(path).then(
    () => "opened",
    (reason: Error) => reason.message,
  );
  console.log(`refused after ${Math.round(performance.now() - began)} ms: ${error.split("\n")[0]}`);
  return error.replace(/^page\.evaluate: Error: /, "").split("\n    at ")[0]!;
}

/** The header of a tar archive's entry. */
function header(name: string, size: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, "latin1");
  block.write(size.toString(8).padStart(11, "0"), 124);
  block.write("0", 156);
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0`, 148);
  return block;
}

describe.skipIf(browserMissing)("a host that is opened in the page", { timeout: 60_000 }, () => {
  test.each(["intel61-hold.core.xz", "intel61-q72.tar.xz", "amd61-q72.tar.xz", "qemu-7.2-amd-boot.log.xz"])(
    "has the map and the findings that the command prints: %s",
    async (name) => {
      const path = join(captures, name);
      await open(path);
      expect(await documentOf("map")).toEqual(await printed(["map", "--from", path]));
      expect(await documentOf("audit")).toEqual(await printed(["audit", "--from", path]));
    },
  );

  test("is the same by position, says how far it is, and is followed as the command follows", async () => {
    const progress = await open(core);
    expect(progress[0]).toMatch(/: (?:finding its pages|looking for the kernel|walking the kernel's tables)/);
    expect(await documentOf("map")).toEqual(await printed(["map", "--from", core]));
    for (const subject of ["irq 27", "00:03.0", "dmar0:2"]) {
      const asked = await askEngine(page, "hostFollow", subject);
      expect(await printed(["follow", ...subject.split(" "), "--from", core])).toMatchObject(
        plain(asked.result) as object,
      );
    }
    await expect(askEngine(page, "hostFollow", "irq 9999")).rejects.toThrow("InputError: irq 9999:");
  });

  test("may be a core that is far larger than memory", async () => {
    const large = join(folder, "large");
    cpSync(core, large);
    truncateSync(large, 100 * 2 ** 30);
    await open(large);
    expect(await documentOf("map")).toEqual(await printed(["map", "--from", large]));
    rmSync(large);
  });

  test("may be a folder, and a folder in which it lies alone", async () => {
    const path = join(folder, "intel61-hold");
    const map = (await printed(["map", "--from", path])) as object;
    await openPicked(page, path, "intel61-hold");
    expect(await documentOf("map")).toEqual({ ...map, source: "intel61-hold" });
    const around = join(folder, "around");
    cpSync(path, join(around, "intel61-hold"), { recursive: true });
    await openPicked(page, around, "around");
    expect(await documentOf("map")).toEqual({ ...map, source: "around" });
  });

  test("may be several files of text, which are one host as they would be in one file", async () => {
    const parts = {
      "irte.txt":
        "Remapped Interrupt supported on IOMMU: dmar0\n IR table address:100900000\n 24  00:03.0 00000100 23  0000000000040018    000001000023000d",
      interrupts: "           CPU0\n 24:          5  IR-PCI-MSI-0000:00:03.0    0-edge      virtio0\n",
      "version.gz": zlib.gzipSync("Linux version 6.1.0-1 (a@b) #1 SMP\n"),
    };
    const paths = Object.keys(parts).map((name) => join(folder, name));
    for (const [name, content] of Object.entries(parts)) writeFileSync(join(folder, name), content);
    const together = join(folder, "together");
    const texts = Object.values(parts).map((one) => (typeof one === "string" ? one : zlib.gunzipSync(one)));
    writeFileSync(together, texts.join("\n"));
    await openPicked(page, paths, together);
    const map = await printed(["map", "--from", together]);
    expect(map).toMatchObject({ release: "6.1.0-1", interrupts: [{ index: 24 }, { irq: 24 }] });
    expect(await documentOf("map")).toEqual(map);
  });

  test("may be text, of which nothing is run", async () => {
    const name = "<img src=x onerror=alert(1)>";
    const text = `           CPU0\n 24:          5  IR-PCI-MSI-0000:00:03.0    0-edge      ${name}\n`;
    await askEngine(page, "openHost", { name: "pasted", text });
    expect(await documentOf("map")).toMatchObject({ source: "pasted", interrupts: [{ irq: 24, name }] });
  });

  test("can be one that the command packed", async () => {
    const path = join(captures, "intel61-q72.tar.xz");
    await askEngine(page, "openPackedHost", packHost(await readHost(path, testIo())));
    expect(await documentOf("map")).toEqual(await printed(["map", "--from", path]));
    // One that cannot be read leaves what is open.
    await expect(askEngine(page, "openPackedHost", "{}")).rejects.toThrow("InputError: packed host:");
    expect(await documentOf("map")).toEqual(await printed(["map", "--from", path]));
  });

  test("is let go by what is opened after it, whatever comes of that", async () => {
    await openPicked(page, join(captures, "intel61-q72.tar.xz"), "intel61-q72");
    await expect(askEngine(page, "openHost", { name: "pasted", text: "hello" })).rejects.toThrow(
      "InputError: pasted: line 1:",
    );
    await expect(askEngine(page, "hostDocument", "map")).rejects.toThrow(
      "InputError: no host is open: open it again",
    );
  });
});

describe.skipIf(browserMissing)(
  "what cannot be opened in the page ends in one line",
  { timeout: 60_000 },
  () => {
    test("that the command prints: a core that is cut off", async () => {
      const bytes = readFileSync(core);
      for (const length of [10, 5000, 200_000, bytes.length - 1_000_000]) {
        const path = join(folder, "cut");
        writeFileSync(path, bytes.subarray(0, length));
        expect(await refused(path)).toBe(`InputError: ${await refusal(path)}`);
      }
    });

    test("that the command prints: no host, zeros, compressed data that is cut off", async () => {
      for (const [name, content] of [
        ["text", "hello\nworld\n"],
        ["empty", ""],
        ["zeros", new Uint8Array(100_000)],
        ["zeros.gz", zlib.gzipSync(new Uint8Array(100_000))],
        ["twice.gz", zlib.gzipSync(zlib.gzipSync("hello\n"))],
        ["foreign.gz", Buffer.concat([zlib.gzipSync("hello\n"), Buffer.from("hello\n")])],
        ["cut.xz", readFileSync(join(captures, "intel61-q72.tar.xz")).subarray(0, 3000)],
      ] as const) {
        const path = join(folder, name);
        writeFileSync(path, content);
        expect(await refused(path)).toBe(`InputError: ${await refusal(path)}`);
      }
    });

    test("that the command prints: folders with a text alone, or with several hosts", async () => {
      const alone = join(folder, "alone");
      mkdirSync(alone);
      writeFileSync(join(alone, "interrupts"), "           CPU0\n 4:  5  IO-APIC 4-edge ttyS0\n");
      const several = join(folder, "several");
      for (const name of ["a", "b"]) {
        mkdirSync(join(several, name, "proc"), { recursive: true });
        writeFileSync(join(several, name, "proc/interrupts"), "           CPU0\n");
      }
      for (const path of [alone, several]) {
        expect(await refused(path)).toBe(`InputError: ${await refusal(path)}`);
      }
      expect(await refusal(several)).toContain("several hosts (a, b): give one of them");
    });

    test.each([
      ["an archive", () => join(captures, "intel61-q72.tar.xz")],
      ["a dump", () => core],
      ["a trace", () => join(captures, "qemu-7.2-amd-boot.log.xz")],
    ])("several files of which one is %s", async (_, other) => {
      const text = join(folder, "notes");
      writeFileSync(text, "hello\n");
      const name = other().slice(other().lastIndexOf("/") + 1);
      await expect(openPicked(page, [text, other()], "two")).rejects.toThrow(
        `InputError: ${name}: no text, which several files have to be: give it by itself`,
      );
    });

    test("a tar bomb, of one file or of many", async () => {
      const path = join(folder, "bomb.tar.gz");
      const zeros = zlib.gzipSync(new Uint8Array(2 ** 26));
      const huge = zlib.gzipSync(header("proc/interrupts", 10 * 2 ** 30 - 1));
      writeFileSync(path, Buffer.concat([huge, ...Array<Buffer>(160).fill(zeros)]));
      expect(await refused(path)).toBe(
        `InputError: ${path}: entry 1 ends more than 2048 MiB into the archive, which is the most that is walked`,
      );
      const entry = zlib.gzipSync(header("proc/interrupts", 2 ** 26));
      writeFileSync(path, Buffer.concat(Array<Buffer[]>(160).fill([entry, zeros]).flat()));
      expect(await refused(path)).toBe(
        `InputError: ${path}: more than 262144 files or 128 MiB of the kinds that are read`,
      );
    });

    test("more text than is read", async () => {
      const error = await page.evaluate(async () => {
        const worker = Reflect.get(globalThis, "testWorker") as Worker;
        worker.postMessage({
          id: 2,
          task: "openHost",
          input: { name: "pasted", text: "x".repeat(2 ** 26 + 1) },
        });
        return new Promise((resolve) => {
          worker.addEventListener("message", ({ data }) => resolve(data.message), { once: true });
        });
      });
      expect(error).toBe("pasted: more than 64 MiB, which is the most that is read");
    });
  },
);
