import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { HostDraft } from "../host/draft.ts";
import type { LinuxInterrupt } from "../host/interrupt.ts";
import type { HostState } from "../host/state.ts";
import type { KernelMember } from "./kernel.ts";
import { KernelStruct, readQuad } from "./kernel-struct.ts";
import { RecordedKernel } from "./testing/recorded-kernel.ts";
import { walkKernel } from "./walk.ts";

/** A kernel of `evidence/fixtures`. */
function recorded(name: string): RecordedKernel {
  const bytes = readFileSync(new URL(`../fixtures/kernel-${name}.br`, import.meta.url));
  return new RecordedKernel(brotliDecompressSync(bytes));
}

// Real kernels of 6.12 whose structures are turned into those of other releases.

function walked(kernel: RecordedKernel): HostState {
  const draft = new HostDraft("kernel");
  walkKernel(kernel, draft);
  return draft.finish();
}

function member(byte: number, size: number, rest: Partial<KernelMember> = {}): KernelMember {
  return { bitOffset: byte * 8, bitWidth: 0, size, type: null, count: 1, pointer: false, ...rest };
}

function interruptOf(host: HostState, name: string): LinuxInterrupt {
  return host.interrupts.find(({ actions }) => actions?.value.includes(name))!;
}

/** The structure that an interrupt's level of one domain has as its chip_data. */
function chipDataOf(kernel: RecordedKernel, irq: number, level: number): bigint {
  const root = kernel.places.get("irq_desc")!;
  let data = new KernelStruct(
    kernel,
    "irq_desc",
    root + BigInt(irq * kernel.members.get("irq_desc")!.size),
  ).struct("irq_data");
  for (let i = 0; i < level; i++) data = data.follow("parent_data")!;
  return data.pointer("chip_data");
}

/** Lays the descriptors out in one array, as a kernel without CONFIG_SPARSE_IRQ has them. */
function flat(name: string): RecordedKernel {
  const kernel = recorded(name);
  const sparse = walked(recorded(name)).interrupts;
  const { size } = kernel.members.get("irq_desc")!;
  const array = 0xffff_c900_4000_0000n;
  for (const { irq, actions } of sparse) {
    const address = BigInt(`0x${/0x([0-9a-f]+)/.exec(actions!.origin.place!)![1]!}`);
    kernel.memory.write(array + BigInt(irq * size), kernel.memory.read(address, size));
  }
  const count = sparse.at(-1)!.irq + 1;
  for (let irq = 0; irq < count; irq++) {
    if (!sparse.some((found) => found.irq === irq))
      kernel.memory.write(array + BigInt(irq * size), new Uint8Array(size));
  }
  kernel.places.delete("sparse_irqs");
  kernel.places.set("irq_desc", array);
  kernel.places.set("total_nr_irqs", 0xffff_c900_3000_0000n);
  kernel.memory.put(0xffff_c900_3000_0000n, count, 4);
  return kernel;
}

test("descriptors in one array are read as those in a tree", () => {
  const place = /irq_desc at/;
  const text = (host: HostState): string =>
    JSON.stringify(
      host.interrupts.filter(({ domains }) => domains!.value[0]!.domain !== ""),
      (key, value: unknown) =>
        typeof value === "bigint"
          ? value.toString()
          : key === "place" && place.test(String(value))
            ? ""
            : value,
    );
  expect(text(walked(flat("6.12-intel")))).toBe(text(walked(recorded("6.12-intel"))));
});

describe("whose descriptor an entry of VT-d posts to", () => {
  const posted = member(13, 1);
  const cases: readonly (readonly [
    release: string,
    members: Readonly<Record<string, KernelMember | undefined>>,
    bytes: readonly number[],
    posts: "none" | "vcpu" | "host",
  ])[] = [
    ["6.12", { "irq_2_iommu.posted_msi": posted, "irq_2_iommu.posted_vcpu": member(14, 1) }, [0, 0], "none"],
    ["6.12", { "irq_2_iommu.posted_msi": posted, "irq_2_iommu.posted_vcpu": member(14, 1) }, [1, 0], "host"],
    ["6.12", { "irq_2_iommu.posted_msi": posted, "irq_2_iommu.posted_vcpu": member(14, 1) }, [1, 1], "vcpu"],
    [
      "6.1",
      {
        "irq_2_iommu.mode": posted,
        "irq_2_iommu.posted_msi": undefined,
        "irq_2_iommu.posted_vcpu": undefined,
      },
      [0, 0],
      "none",
    ],
    [
      "6.1",
      {
        "irq_2_iommu.mode": posted,
        "irq_2_iommu.posted_msi": undefined,
        "irq_2_iommu.posted_vcpu": undefined,
      },
      [1, 0],
      "vcpu",
    ],
    [
      "6.11",
      {
        "irq_2_iommu.mode": posted,
        "irq_2_iommu.posted_msi": member(14, 1),
        "irq_2_iommu.posted_vcpu": undefined,
      },
      [0, 1],
      "host",
    ],
  ];
  test.each(cases)("as Linux %s says it", (_release, members, bytes, posts) => {
    const kernel = flat("6.12-intel");
    for (const [name, found] of Object.entries(members)) kernel.change("intel_ir_data", name, found);
    const { irq } = interruptOf(walked(kernel), "nvme0q1");
    kernel.memory.write(chipDataOf(kernel, irq, 1) + 13n, Uint8Array.from(bytes));
    const host = walked(kernel);
    expect(interruptOf(host, "nvme0q1").posts?.value).toBe(posts);
    expect(interruptOf(host, "nvme0q2").posts?.value).toBe("none");
  });
});

test("an entry of AMD-Vi in guest mode posts to a virtual processor, where entries are 128 bits wide", () => {
  const kernel = flat("6.12-amd");
  const { irq } = interruptOf(walked(kernel), "nvme0q1");
  const data = chipDataOf(kernel, irq, 1);
  const entry = readQuad(kernel, kernel.at("amd_ir_data", data, "entry"));
  kernel.memory.put(entry, readQuad(kernel, entry) | (1n << 7n));
  expect(interruptOf(walked(kernel), "nvme0q1").posts?.value).toBe("vcpu");
  expect(interruptOf(walked(kernel), "nvme0q2").posts?.value).toBe("none");
  kernel.memory.put(kernel.places.get("amd_iommu_guest_ir")!, 0, 4);
  const narrow = walked(kernel);
  expect(interruptOf(narrow, "nvme0q1").posts?.value).toBe("none");
  const [unit] = narrow.units;
  expect(unit?.vendor === "amd" && [...unit.tables.values()].every(({ value }) => value.width === 32)).toBe(
    true,
  );
});

test("tables of AMD-Vi are found where there is one set for all segments, as before 6.0", () => {
  const kernel = recorded("6.12-amd");
  const before = walked(kernel).units[0]!;
  const list = kernel.places.get("amd_iommu_list")!;
  const iommu = new KernelStruct(kernel, "amd_iommu", readQuad(kernel, list));
  const segment = iommu.follow("pci_seg")!;
  const globals = 0xffff_c900_3000_0000n;
  for (const [i, [symbol, value]] of (
    [
      ["amd_iommu_last_bdf", BigInt(segment.u16("last_bdf"))],
      ["amd_iommu_dev_table", segment.pointer("dev_table")],
      ["amd_iommu_rlookup_table", segment.pointer("rlookup_table")],
      ["irq_lookup_table", segment.pointer("irq_lookup_table")],
    ] as const
  ).entries()) {
    kernel.places.set(symbol, globals + BigInt(i * 8));
    kernel.memory.put(globals + BigInt(i * 8), value);
  }
  kernel.change("amd_iommu", "pci_seg", undefined);
  kernel.change("amd_ir_data", "iommu", undefined);
  const host = walked(kernel);
  const after = host.units[0]!;
  expect(host.missing).toEqual([]);
  if (before.vendor !== "amd" || after.vendor !== "amd") throw new Error("AMD-Vi");
  expect(after.devices?.value).toEqual(before.devices?.value);
  expect(after.tables).toEqual(before.tables);
  expect(interruptOf(host, "nvme0q1").entry?.value).toMatchObject({ unit: "ivhd0", requester: 0x100 });
});

describe("a message of a PCI function", () => {
  test("has its index and its kind where releases before 5.17 keep them", () => {
    const kernel = recorded("6.12-intel");
    const type = kernel.members.get("msi_desc")!.members;
    const attributes = type.get("pci.msi_attrib.is_msix")!.bitOffset;
    for (const name of ["is_msix", "multiple", "multi_cap"]) {
      const found = type.get(`pci.msi_attrib.${name}`)!;
      kernel.change("msi_desc", `pci.msi_attrib.${name}`, undefined);
      kernel.change("msi_desc", `msi_attrib.${name}`, found);
    }
    kernel.change("msi_desc", "pci.msi_attrib", undefined);
    kernel.change("msi_desc", "msi_attrib", member(attributes / 8, 8));
    kernel.change("msi_desc", "msi_attrib.entry_nr", type.get("msi_index"));
    kernel.change("msi_desc", "msi_index", undefined);
    const host = walked(kernel);
    expect(host.missing).toEqual([]);
    expect(interruptOf(host, "nvme0q3").from?.value).toEqual({
      kind: "pci",
      segment: 0,
      requester: 0x100,
      index: 3,
    });
    const nvme = host.devices.find(({ requester }) => requester === 0x100)!;
    expect(nvme.messageIrqs?.value.map(({ kind }) => kind)).toEqual(Array<string>(5).fill("msix"));
  });

  test("of multi-message MSI has its number in the low bits of the data", () => {
    const kernel = flat("6.12-intel");
    const { irq } = interruptOf(walked(kernel), "eth2-rx-0");
    const next = interruptOf(walked(kernel), "eth2-tx-0").irq;
    expect(next).toBe(irq + 1);
    const { size } = kernel.members.get("irq_desc")!;
    const common = (number: number): bigint =>
      kernel.at("irq_desc", kernel.places.get("irq_desc")! + BigInt(number * size), "irq_common_data");
    const shared = readQuad(kernel, kernel.at("irq_common_data", common(irq), "msi_desc"));
    kernel.memory.put(kernel.at("irq_common_data", common(next), "msi_desc"), shared);
    kernel.memory.put(kernel.at("msi_desc", shared, "nvec_used"), 2, 4);
    kernel.memory.put(kernel.at("msi_desc", shared, "msi_index"), 0, 2);
    const bit = kernel.members.get("msi_desc")!.members.get("pci.msi_attrib.is_msix")!;
    const at = shared + BigInt(bit.bitOffset >>> 3);
    // Neither MSI-X nor more than one message asked for; two are given.
    kernel.memory.put(at, 0b0010_0010, 1);
    const host = walked(kernel);
    const [first, second] = [irq, next].map((number) =>
      host.interrupts.find((found) => found.irq === number)!,
    );
    expect(second!.message?.value).toEqual({
      address: first!.message!.value.address,
      data: first!.message!.value.data | 1,
    });
    expect(second!.from?.value).toMatchObject({ index: 1 });
    const network = host.devices.find(({ requester }) => requester === 0x28)!;
    expect(network.msi?.value).toMatchObject({ enabled: true, used: 2, available: 4 });
  });
});

describe("logical ids of the processors", () => {
  test("are read of a per-CPU variable, as before 5.11", () => {
    const kernel = recorded("6.12-intel");
    const offsets = kernel.places.get("__per_cpu_offset")!;
    kernel.places.set("x86_cpu_to_logical_apicid", 0x1_2340n);
    for (let cpu = 0; cpu < 4; cpu++) {
      kernel.memory.put(readQuad(kernel, offsets + BigInt(cpu * 8)) + 0x1_2340n, 0x7_0000 | (1 << cpu), 4);
    }
    const { processors } = walked(kernel);
    expect(processors.map(({ logicalId }) => logicalId?.value)).toEqual([
      0x7_0001, 0x7_0002, 0x7_0004, 0x7_0008,
    ]);
  });

  test("are left out where destinations are physical", () => {
    const { processors } = walked(apic("physical x2apic"));
    expect(processors.map(({ logicalId }) => logicalId)).toEqual(Array<undefined>(4).fill(undefined));
  });
});

/** With an APIC driver of this name. */
function apic(name: string): RecordedKernel {
  const kernel = recorded("6.12-intel");
  const driver = readQuad(kernel, kernel.places.get("apic")!);
  kernel.memory.text(0xffff_c900_3000_0000n, name);
  kernel.memory.put(kernel.at("apic", driver, "name"), 0xffff_c900_3000_0000n);
  return kernel;
}

test.each([
  ["flat", "xapic", "flat"],
  ["physical flat", "xapic", "physical"],
  ["cluster x2apic", "x2apic", "cluster"],
  ["physical x2apic", "x2apic", "physical"],
  ["UV large system", undefined, undefined],
])("the APIC driver %s is %s with %s destinations", (name, mode, destinations) => {
  const { system, missing } = walked(apic(name));
  expect(system.routing?.value).toEqual(mode === undefined ? undefined : { mode, destinations });
  expect(missing.map(({ what }) => what)).toEqual(mode === undefined ? ["routing of the local APICs"] : []);
});
