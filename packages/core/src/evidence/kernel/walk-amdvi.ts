import { InputError } from "../input-error.ts";
import type { TableEntries } from "../host/unit.ts";
import { readEntries } from "./entries.ts";
import { KernelStruct } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";
import { type KernelWalk, placeOf } from "./walk-context.ts";
import { qword } from "./words.ts";

/** Bytes of a device table entry. */
const entryBytes = 32;
/** DTE.IV, and IntTabLen in bits 132:129. */
const interruptValid = 1n << 128n;
const lengthShift = 129n;
/** IntTabLen of the largest table. */
const longest = 11;
/** AMD_IOMMU_GUEST_IR_LEGACY_GA and _VAPIC: entries are 128 bits wide. */
const wideModes: ReadonlySet<bigint | undefined> = new Set([1n, 2n]);
/** The vector of a 128-bit entry, by which Linux marks it as given away. */
const vectorMask = 0xffn << 64n;

/** The tables of one PCI segment, by device id. */
interface Segment {
  readonly id: number;
  readonly place: string;
  /** The highest device id of the tables. */
  readonly last: number;
  readonly deviceTable: bigint;
  /** To `struct amd_iommu`, and to `struct irq_remap_table`: arrays of pointers, 0 for none. */
  readonly lookup: Uint8Array;
  readonly tables: Uint8Array | undefined;
}

/** The AMD-Vi units of the kernel's list, with their device table entries and interrupt tables. */
export function walkAmdvi(walk: KernelWalk): void {
  const { kernel } = walk;
  const head = kernel.symbols.address("amd_iommu_list");
  // A kernel without CONFIG_AMD_IOMMU.
  if (head === undefined) return;
  const segments = new Map<bigint, Segment | undefined>();
  for (const iommu of listOf(kernel, head, "amd_iommu", "list")) {
    walk.attempt(`AMD-Vi unit ${iommu.s32("index")}`, () => walkUnit(walk, iommu, segments));
  }
}

function walkUnit(walk: KernelWalk, iommu: KernelStruct, segments: Map<bigint, Segment | undefined>): void {
  const place = placeOf(iommu);
  const base = iommu.u64("mmio_phys");
  // By this name the kernel registers it with sysfs.
  const unit = walk.draft.amdviUnit(`ivhd${iommu.s32("index")}`, base);
  // pci_seg since 6.0; one segment without a structure before.
  const segmentAddress = iommu.has("pci_seg") ? iommu.pointer("pci_seg") : 0n;
  if (!segments.has(segmentAddress)) {
    segments.set(
      segmentAddress,
      walk.attempt("AMD-Vi device table", () => segmentOf(walk, iommu)),
    );
  }
  const segment = segments.get(segmentAddress);
  const walked = { vendor: "amd", name: unit.name, segment: segment?.id ?? 0 } as const;
  walk.units.set(iommu.address, walked);
  for (const member of ["ir_domain", "msi_domain"]) {
    if (iommu.has(member) && iommu.pointer(member) !== 0n) walk.domains.set(iommu.pointer(member), walked);
  }
  unit.registerBase ??= walk.fact(base, place);
  unit.requester ??= walk.fact(iommu.u16("devid"), place);
  if (segment !== undefined) unit.segment ??= walk.fact(segment.id, segment.place);
  walkFeatures(walk, iommu, unit);
  const remapping = walk.variable("amd_iommu_irq_remap", 1);
  if (remapping !== undefined) unit.remapping ??= walk.fact(remapping !== 0n, "amd_iommu_irq_remap");
  const wide = wideModes.has(walk.variable("amd_iommu_guest_ir", 4));
  // IRQ_REMAP_X2APIC_MODE; the kernel sets XTEn where entries are 128 bits wide.
  const mode = walk.variable("amd_iommu_xt_mode", 4);
  if (mode !== undefined) unit.extendedMode ??= walk.fact(wide && mode === 1n, "amd_iommu_xt_mode");
  if (segment === undefined) return;
  const devices = walk.attempt(`device table of ${unit.name}`, () => {
    const { entries, unread } = readEntries(walk.kernel, segment.deviceTable, segment.last + 1, entryBytes);
    if (unread !== undefined) walk.missing(`parts of the device table of ${unit.name}`, unread);
    for (const id of entries.keys()) {
      if (qword(segment.lookup, id * 8) !== iommu.address) entries.delete(id);
    }
    return entries;
  });
  if (devices !== undefined) unit.devices ??= walk.fact(devices, segment.place);
  const { tables } = segment;
  if (tables === undefined) return;
  const read = new Map<bigint, TableEntries | undefined>();
  for (let id = 0; id <= segment.last; id++) {
    const address = qword(tables, id * 8);
    if (address === 0n || qword(segment.lookup, id * 8) !== iommu.address) continue;
    if (!read.has(address)) {
      const what = `interrupt remapping table of device id 0x${id.toString(16)} of ${unit.name}`;
      const table = new KernelStruct(walk.kernel, "irq_remap_table", address);
      read.set(
        address,
        walk.attempt(what, () => tableOf(walk, table, devices?.get(id), wide, what)),
      );
    }
    const found = read.get(address);
    if (found !== undefined && !unit.tables.has(id)) {
      unit.tables.set(id, walk.fact(found, `irq_remap_table at 0x${address.toString(16)}`));
    }
  }
}

function walkFeatures(
  walk: KernelWalk,
  iommu: KernelStruct,
  unit: ReturnType<KernelWalk["draft"]["amdviUnit"]>,
): void {
  const place = placeOf(iommu);
  // amd_iommu.features since 3.0, features2 since 6.0; amd_iommu_efr and amd_iommu_efr2 hold them for all units.
  const own = iommu.u64("features");
  const all = walk.variable("amd_iommu_efr", 8);
  if (own !== 0n || all === undefined) unit.features ??= walk.fact(own, place);
  else unit.features ??= walk.fact(all, "amd_iommu_efr");
  if (!iommu.has("features2")) return;
  const own2 = iommu.u64("features2");
  const all2 = walk.variable("amd_iommu_efr2", 8);
  if (own2 !== 0n || all2 === undefined) unit.features2 ??= walk.fact(own2, place);
  else unit.features2 ??= walk.fact(all2, "amd_iommu_efr2");
}

function segmentOf(walk: KernelWalk, iommu: KernelStruct): Segment {
  const { kernel } = walk;
  const segment = iommu.has("pci_seg") ? iommu.follow("pci_seg") : undefined;
  if (segment !== undefined) {
    const last = segment.u16("last_bdf");
    return {
      id: segment.u16("id"),
      place: placeOf(segment),
      last,
      deviceTable: segment.pointer("dev_table"),
      lookup: kernel.memory.read(segment.pointer("rlookup_table"), (last + 1) * 8),
      tables: pointers(walk, segment.pointer("irq_lookup_table"), last),
    };
  }
  // Before 6.0 there is one set of tables, for segment 0.
  const last = walk.variable("amd_iommu_last_bdf", 2);
  const deviceTable = walk.variable("amd_iommu_dev_table", 8);
  const lookup = walk.variable("amd_iommu_rlookup_table", 8);
  if (last === undefined || deviceTable === undefined || lookup === undefined) {
    throw new InputError(
      `${kernel.memory.name}: kernel ${kernel.release}: expected amd_iommu.pci_seg, or the symbols amd_iommu_dev_table, amd_iommu_rlookup_table and amd_iommu_last_bdf`,
    );
  }
  return {
    id: 0,
    place: "amd_iommu_dev_table",
    last: Number(last),
    deviceTable,
    lookup: kernel.memory.read(lookup, (Number(last) + 1) * 8),
    tables: pointers(walk, walk.variable("irq_lookup_table", 8) ?? 0n, Number(last)),
  };
}

function pointers(walk: KernelWalk, address: bigint, last: number): Uint8Array | undefined {
  if (address === 0n) {
    walk.missing(
      "AMD-Vi interrupt remapping tables",
      "the kernel has made no irq_lookup_table: it does not remap interrupts",
    );
    return undefined;
  }
  return walk.kernel.memory.read(address, (last + 1) * 8);
}

/** As long as the device table entry says; the kernel does not keep the length beside the table. */
function tableOf(
  walk: KernelWalk,
  table: KernelStruct,
  device: bigint | undefined,
  wide: boolean,
  what: string,
): TableEntries {
  const { kernel } = walk;
  const address = table.pointer("table");
  const power = device === undefined ? 0 : Number((device >> lengthShift) & 0xfn);
  if (device === undefined || (device & interruptValid) === 0n || power === 0) {
    throw new InputError("its device table entry has no IV or no IntTabLen, so its length is not known");
  }
  if (power > longest) {
    throw new InputError(`its device table entry: expected IntTabLen of at most ${longest}, found ${power}`);
  }
  const length = 1 << power;
  const { entries, unread } = readEntries(kernel, address, length, wide ? 16 : 4);
  if (unread !== undefined) walk.missing(`parts of the ${what}`, unread);
  const allocated = new Set<number>();
  for (const [index, value] of entries) {
    if (!wide || (value & vectorMask) !== 0n) allocated.add(index);
  }
  return {
    base: kernel.physical(address) ?? null,
    length,
    width: wide ? 128 : 32,
    entries,
    complete: unread === undefined,
    allocated,
  };
}
