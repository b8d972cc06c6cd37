import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { bytesSource } from "../byte-source.ts";
import { HostDraft } from "../host/draft.ts";
import type { Fact } from "../host/fact.ts";
import { readHostFiles } from "../host/read-files.ts";
import type { HostState } from "../host/state.ts";
import { memoryFiles } from "../host/testing/memory-files.ts";
import { elfPhysicalMemory, readElfCore } from "./elf-core.ts";
import type { Kernel } from "./kernel.ts";
import { openCoreKernel } from "./open-kernel.ts";
import { RecordedKernel } from "./testing/recorded-kernel.ts";
import { walkKernel } from "./walk.ts";

/** A kernel of `evidence/fixtures`. */
function recorded(name: string): RecordedKernel {
  const bytes = readFileSync(new URL(`../fixtures/kernel-${name}.br`, import.meta.url));
  return new RecordedKernel(brotliDecompressSync(bytes));
}

const captures = fileURLToPath(new URL("../../../../../captures/", import.meta.url));

function walked(kernel: Kernel): HostState {
  const draft = new HostDraft("kernel");
  walkKernel(kernel, draft);
  return draft.finish();
}

const expander = "xz";
const folder = mkdtempSync(join(tmpdir(), "intremap-walk-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the guest's own files said: another reading of the same machine. */
function filesOf(capture: string): HostState {
  execFileSync("tar", ["-xJf", `${captures}${capture}.tar.xz`, "-C", folder]);
  const names = readdirSync(join(folder, capture), { recursive: true, withFileTypes: true });
  const contents: Record<string, Uint8Array> = {};
  for (const entry of names.filter((entry) => entry.isFile())) {
    const path = join(entry.parentPath, entry.name);
    contents[relative(join(folder, capture), path)] = new Uint8Array(readFileSync(path));
  }
  const draft = new HostDraft("files");
  readHostFiles(memoryFiles(contents), draft);
  return draft.finish();
}

function coreOf(capture: string): Kernel {
  const bytes = execFileSync(expander, ["-dc", `${captures}${capture}.core.xz`], { maxBuffer: 2 ** 28 });
  return openCoreKernel(elfPhysicalMemory(readElfCore(bytesSource(bytes, capture))));
}

type Facts = Readonly<Record<string, unknown>>;

const isFact = (value: unknown): value is Fact<unknown> =>
  typeof value === "object" && value !== null && "origin" in value;

/** The machine's parts by name. */
function parts({ system, firmware, processors, devices, interrupts, units }: HostState): Map<string, Facts> {
  return new Map<string, Facts>([
    ["system", system as unknown as Facts],
    ["firmware", firmware],
    ...processors.map((processor) => [`processor ${processor.cpu}`, processor as unknown as Facts] as const),
    ...devices.map((device) => [`device ${device.requester}`, device as unknown as Facts] as const),
    ...interrupts.map((interrupt) => [`interrupt ${interrupt.irq}`, interrupt as unknown as Facts] as const),
    ...units.map((unit) => [`unit ${unit.name}`, unit as unknown as Facts] as const),
  ]);
}

describe.each([
  ["intel61-hold", () => coreOf("intel61-hold"), 401],
  ["intel612", () => recorded("6.12-intel"), 396],
  ["amd612", () => recorded("6.12-amd"), 416],
] as const)("the kernel of %s", (capture, open, agreeing) => {
  const host = walked(open());

  test("says nothing else of the machine than its files", () => {
    const files = filesOf(capture);
    const known = parts(host);
    const onlyFiles = new Set<string>();
    let equal = 0;
    for (const [name, facts] of parts(files)) {
      for (const [key, said] of Object.entries(facts)) {
        if (!isFact(said)) continue;
        const found = known.get(name)?.[key];
        if (!isFact(found)) {
          onlyFiles.add(`${name.replace(/ .*/, "")}.${key}`);
        } else if (key === "counts") {
          // The core was taken later.
          const pairs = (found.value as number[]).map((count, i) => [count, (said.value as number[])[i]!]);
          expect(
            pairs.every(([now, then]) => now! >= then!),
            `${name}: ${JSON.stringify(pairs)}`,
          ).toBe(true);
        } else {
          expect({ [`${name}.${key}`]: found.value }).toEqual({ [`${name}.${key}`]: said.value });
          equal++;
        }
      }
    }
    expect(host.interrupts.map(({ irq }) => irq)).toEqual(files.interrupts.map(({ irq }) => irq));
    expect(host.devices.map(({ requester }) => requester)).toEqual(
      files.devices.map(({ requester }) => requester),
    );
    expect(
      [...onlyFiles].filter(
        (key) => !["device.config", "device.msi", "device.msix", "unit.version"].includes(key),
      ),
    ).toEqual([]);
    expect(equal).toBeGreaterThanOrEqual(agreeing - host.interrupts.length);
  });

  test("leaves nothing out that it names", () => {
    expect(host.missing).toEqual([]);
  });

  test("has each interrupt's vector and processor in the entry that it names", () => {
    const apicIds = new Map(host.processors.map(({ cpu, apicId }) => [cpu, apicId!.value]));
    const { routing } = host.system;
    let held = 0;
    for (const { irq, entry, vector, from, cachedEntry } of host.interrupts) {
      if (entry === undefined || vector === undefined) continue;
      const unit = host.units.find(({ name }) => name === entry.value.unit)!;
      const table = unit.vendor === "intel" ? unit.table! : unit.tables.get(entry.value.requester!)!;
      const value = table.value.entries.get(entry.value.index)!;
      expect(table.value.allocated!.has(entry.value.index)).toBe(true);
      const id = apicIds.get(vector.value.cpu)!;
      const logical = routing!.value.destinations === "physical" ? id : 1 << id;
      if (unit.vendor === "intel") {
        const destination = Number((value >> 32n) & 0xffff_ffffn);
        expect([
          irq,
          Number((value >> 16n) & 0xffn),
          destination >> (unit.extendedMode!.value ? 0 : 8),
        ]).toEqual([irq, vector.value.vector, logical]);
        expect(cachedEntry!.value).toBe(value);
        // Behind a bridge from PCIe to PCI the bridge's bus is verified and no function.
        const source = Number((value >> 64n) & 0xffffn);
        if (from?.value.kind === "pci" && ((value >> 82n) & 3n) === 1n)
          expect(source).toBe(from.value.requester);
      } else {
        expect([irq, Number((value >> 64n) & 0xffn), Number((value >> 8n) & 0xff_ffffn)]).toEqual([
          irq,
          vector.value.vector,
          logical,
        ]);
      }
      held++;
    }
    expect(held).toBeGreaterThan(20);
  });
});

test("the table of a core is the one that QEMU's monitor saved", () => {
  const xz = execFileSync("tar", [
    "-xJOf",
    `${captures}intel61-hold.tar.xz`,
    "intel61-hold/pmemsave-irt.bin.xz",
  ]);
  const saved = execFileSync(expander, ["-dc"], { input: xz, maxBuffer: 2 ** 24 });
  const entries = new Map<number, bigint>();
  for (let i = 0; i < 65536; i++) {
    const value = (saved.readBigUInt64LE(i * 16 + 8) << 64n) | saved.readBigUInt64LE(i * 16);
    if (value !== 0n) entries.set(i, value);
  }
  const [unit] = walked(coreOf("intel61-hold")).units;
  expect(entries.size).toBe(27);
  expect(unit?.vendor === "intel" && unit.table?.value.entries).toEqual(entries);
});
