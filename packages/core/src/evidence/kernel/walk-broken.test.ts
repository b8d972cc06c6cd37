import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { HostDraft } from "../host/draft.ts";
import type { HostState } from "../host/state.ts";
import { InputError } from "../input-error.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct, readQuad } from "./kernel-struct.ts";
import type { AddressSpace } from "./memory.ts";
import { RecordedKernel } from "./testing/recorded-kernel.ts";
import { walkKernel } from "./walk.ts";

/** A kernel of `evidence/fixtures`. */
function recorded(name: string): RecordedKernel {
  const bytes = readFileSync(new URL(`../fixtures/kernel-${name}.br`, import.meta.url));
  return new RecordedKernel(brotliDecompressSync(bytes));
}

function walked(kernel: Kernel): HostState {
  const draft = new HostDraft("kernel");
  walkKernel(kernel, draft);
  return draft.finish();
}

const whole = walked(recorded("6.12-intel"));

/** How many facts of each kind a host has. */
function sizes(host: HostState): Record<string, number> {
  return {
    interrupts: host.interrupts.length,
    devices: host.devices.length,
    processors: host.processors.length,
    units: host.units.length,
    entries: host.interrupts.filter(({ entry }) => entry !== undefined).length,
    vectors: host.interrupts.filter(({ vector }) => vector !== undefined).length,
    tables: host.units.filter((unit) => unit.vendor === "intel" && unit.table !== undefined).length,
    tablesOfFirmware: Object.keys(host.firmware).length,
  };
}

/** The same kernel, of whose memory some cannot be read. */
function without(kernel: Kernel, lost: (address: bigint, length: number) => boolean): Kernel {
  const memory: AddressSpace = {
    name: kernel.memory.name,
    read(address, length) {
      if (lost(address, length))
        throw new InputError(`memory: ${length} bytes at 0x${address.toString(16)}: not there`);
      return kernel.memory.read(address, length);
    },
  };
  return {
    ...kernel,
    symbols: kernel.symbols,
    types: kernel.types,
    memory,
    physical: (at) => kernel.physical(at),
    virtual: (at) => kernel.virtual(at),
  };
}

function unitOf(kernel: Kernel & { readonly places: ReadonlyMap<string, bigint> }): KernelStruct {
  const head = kernel.places.get("dmar_drhd_units")!;
  return new KernelStruct(kernel, "dmar_drhd_unit", readQuad(kernel, head)).follow("iommu")!;
}

describe("a structure that is not in the BTF is named, and the rest is read:", () => {
  test.each([
    ["ir_table", "interrupt remapping table of dmar0", { tables: 0 }],
    ["q_inval", "invalidation queue of dmar0", {}],
    ["dmar_drhd_unit", "VT-d units", { units: 0, tables: 0, entries: 0 }],
    ["irq_desc", "Linux interrupts", { interrupts: 0, entries: 0, vectors: 0 }],
    ["pci_dev", "PCI functions", { devices: 0 }],
    ["irq_matrix", "vectors of the processors", {}],
    ["acpi_table_desc", "ACPI tables", { tablesOfFirmware: 0 }],
    ["apic", "routing of the local APICs", {}],
    ["kernel_param", "module parameters", {}],
    ["irq_remap_ops", "the kernel's variables of interrupt remapping", {}],
  ])("%s", (type, what, lost) => {
    const kernel = recorded("6.12-intel");
    kernel.members.delete(type);
    const host = walked(kernel);
    const named = host.missing.find((missing) => missing.what.startsWith(what));
    expect(named?.why, JSON.stringify(host.missing)).toContain(`struct ${type}`);
    expect(sizes(host)).toEqual({ ...sizes(whole), ...lost });
  });
});

describe("a symbol that is not there is named, and the rest is read:", () => {
  test.each([
    ["pci_root_buses", "PCI functions", { devices: 0 }],
    ["sparse_irqs", "Linux interrupts", { interrupts: 0, entries: 0, vectors: 0 }],
    ["cpuid_to_apicid", "APIC ids of the processors", {}],
    ["ioapics", "ids of the IOAPICs", {}],
    ["acpi_gbl_root_table_list", "ACPI tables", { tablesOfFirmware: 0 }],
    ["saved_command_line", "kernel command line", {}],
    ["modules", "loaded modules", {}],
  ])("%s", (symbol, what, lost) => {
    const kernel = recorded("6.12-intel");
    kernel.places.delete(symbol);
    const host = walked(kernel);
    expect(host.missing.find((missing) => missing.what === what)?.why).toContain(symbol);
    expect(sizes(host)).toEqual({ ...sizes(whole), ...lost });
  });

  test("a kernel without the drivers of units has none, and misses none", () => {
    const kernel = recorded("6.12-intel");
    kernel.places.delete("dmar_drhd_units");
    kernel.places.delete("amd_iommu_list");
    const host = walked(kernel);
    expect(host.units).toEqual([]);
    expect(host.missing).toEqual([]);
  });
});

describe("a circle ends with one line:", () => {
  test("of units", () => {
    const kernel = recorded("6.12-intel");
    const first = readQuad(kernel, kernel.places.get("dmar_drhd_units")!);
    kernel.memory.put(first, first);
    const host = walked(kernel);
    expect(host.missing.map(({ what, why }) => `${what}: ${why}`)).toEqual([
      expect.stringMatching(/^VT-d units: .*circle/),
    ]);
    expect(host.units.map(({ name }) => name)).toEqual(["dmar0"]);
  });

  test("of PCI buses", () => {
    const kernel = recorded("6.12-intel");
    const root = readQuad(kernel, kernel.places.get("pci_root_buses")!);
    const children = kernel.at("pci_bus", root, "children");
    kernel.memory.put(children, root);
    kernel.memory.put(root, children);
    const { missing, interrupts } = walked(kernel);
    expect(missing[0]?.what).toBe("PCI functions");
    expect(interrupts.length).toBe(whole.interrupts.length);
  });

  test("of handlers, and of levels", () => {
    const kernel = recorded("6.12-intel");
    const place = (irq: number): bigint => {
      const { origin } = whole.interrupts.find((found) => found.irq === irq)!.actions!;
      return BigInt(`0x${/0x([0-9a-f]+)/.exec(origin.place!)![1]!}`);
    };
    const action = readQuad(kernel, kernel.at("irq_desc", place(30), "action"));
    kernel.memory.put(kernel.at("irqaction", action, "next"), action);
    const data = kernel.at("irq_desc", place(31), "irq_data");
    kernel.memory.put(kernel.at("irq_data", data, "parent_data"), data);
    const host = walked(kernel);
    expect(host.missing).toEqual([
      { what: "interrupt 30", why: expect.stringContaining("256 handlers") as string, needs: null },
      { what: "interrupt 31", why: expect.stringContaining("16 levels") as string, needs: null },
    ]);
    expect(host.interrupts.length).toBe(whole.interrupts.length - 2);
  });
});

test("of a table with a page that is not there the other entries are read", () => {
  const kernel = recorded("6.12-intel");
  const base = unitOf(kernel).follow("ir_table")!.pointer("base");
  kernel.memory.put(base + 300n * 16n, 1n);
  const lost = (address: bigint, length: number): boolean =>
    address < base + 4096n && address + BigInt(length) > base;
  const host = walked(without(kernel, lost));
  const [unit] = host.units;
  if (unit?.vendor !== "intel") throw new Error("VT-d");
  expect(unit.table?.value).toMatchObject({ complete: false, length: 65536, entries: new Map([[300, 1n]]) });
  expect(host.missing.map(({ what }) => what)).toEqual(["parts of the interrupt remapping table of dmar0"]);
});

test("a unit for which the kernel has made no table is known, and does not remap", () => {
  const kernel = recorded("6.12-intel");
  const iommu = unitOf(kernel);
  kernel.memory.put(iommu.addressOf("ir_table"), 0);
  kernel.memory.put(iommu.addressOf("gcmd"), 0, 4);
  const host = walked(kernel);
  const [unit] = host.units;
  expect(unit?.remapping?.value).toBe(false);
  expect(unit?.vendor === "intel" && unit.table).toBe(undefined);
  expect(host.missing.map(({ what }) => what)).toEqual(["interrupt remapping table of dmar0"]);
});

test("counts of a hostile kernel are bounded", () => {
  const kernel = recorded("6.12-intel");
  const list = kernel.places.get("acpi_gbl_root_table_list")!;
  kernel.memory.put(kernel.at("acpi_table_list", list, "current_table_count"), 0xffff_ffff, 4);
  kernel.memory.put(kernel.places.get("nr_ioapics")!, 0xffff_ffff, 4);
  kernel.places.set("__stop___param", 0xffff_ffff_ffff_0000n);
  const host = walked(kernel);
  expect(sizes(host)).toEqual(sizes(whole));
  expect(host.missing.map(({ what }) => what)).toContain("some ACPI tables");
});

/** A small generator (Marsaglia's xorshift), so that a failure can be had again. */
function numbers(seed: number): (limit: number) => number {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

describe("a kernel of which words are overwritten", () => {
  test.each(["6.12-intel", "6.12-amd"])("%s is walked to the end, or says what is missing", (name) => {
    const real = recorded(name);
    const asked: bigint[] = [];
    walked(
      without(real, (address, length) => {
        for (let at = 0n; at < BigInt(Math.min(length, 4096)); at += 64n) asked.push(address + at);
        return false;
      }),
    );
    for (let seed = 1; seed <= 40; seed++) {
      const next = numbers(seed * 7919);
      const pick = (): bigint => asked[next(asked.length)]!;
      const changes = new Map<bigint, bigint>();
      for (let i = 0; i < 1 + (seed % 20); i++) {
        const value = [
          0n,
          pick(),
          pick() & ~7n,
          0xffff_ffff_ffff_ffffn,
          BigInt(next(2 ** 31)),
          1n << BigInt(next(64)),
        ];
        changes.set((pick() & ~7n) + BigInt(next(8) * 8), value[next(value.length)]!);
      }
      const kernel: Kernel = {
        ...without(real, () => false),
        memory: {
          name: "memory",
          read(address, length) {
            const bytes = real.memory.read(address, length);
            for (const [at, value] of changes) {
              for (let i = 0; i < 8; i++) {
                const offset = at + BigInt(i) - address;
                if (offset >= 0n && offset < BigInt(length))
                  bytes[Number(offset)] = Number((value >> BigInt(i * 8)) & 0xffn);
              }
            }
            return bytes;
          },
        },
      };
      const start = performance.now();
      const host = walked(kernel);
      expect(performance.now() - start, `seed ${seed}`).toBeLessThan(2000);
      expect(host.missing.length, `seed ${seed}`).toBeLessThan(500);
    }
  });
});
