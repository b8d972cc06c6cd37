import { InputError } from "../input-error.ts";
import type { QueueState, TableEntries } from "../host/unit.ts";
import { readEntries } from "./entries.ts";
import { KernelStruct } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";
import { bitsOf } from "./per-cpu.ts";
import { type KernelWalk, placeOf } from "./walk-context.ts";
import { dword } from "./words.ts";

/** Entries of the one table that Linux gives a unit (INTR_REMAP_TABLE_ENTRIES). */
const tableLength = 65536;
/** Descriptors of a queue (QI_LENGTH). */
const queueLength = 256;
/** GCMD.IRE. */
const remappingEnable = 1 << 25;
/** ECAP.SMTS: descriptors are 256 bits wide. */
const scalableMode = 1n << 43n;

/** The VT-d units of the kernel's list, with their tables and queues; registers are device memory and are not read. */
export function walkVtd(walk: KernelWalk): void {
  const { kernel } = walk;
  const head = kernel.symbols.address("dmar_drhd_units");
  // A kernel without CONFIG_DMAR_TABLE.
  if (head === undefined) return;
  for (const drhd of listOf(kernel, head, "dmar_drhd_unit", "list")) {
    const iommu = drhd.follow("iommu");
    if (iommu === undefined) {
      walk.missing(
        `VT-d unit at 0x${drhd.u64("reg_base_addr").toString(16)}`,
        drhd.flag("ignored")
          ? "the kernel ignores it: no device is behind it"
          : "the kernel has not set it up",
      );
    } else {
      walk.attempt(`VT-d unit at 0x${drhd.u64("reg_base_addr").toString(16)}`, () =>
        walkUnit(walk, drhd, iommu),
      );
    }
  }
}

function walkUnit(walk: KernelWalk, drhd: KernelStruct, iommu: KernelStruct): void {
  const place = placeOf(iommu);
  const base = drhd.u64("reg_base_addr");
  const name = iommu.string("name");
  const segment = drhd.u16("segment");
  const unit = walk.draft.vtdUnit(name, base);
  const walked = { vendor: "intel", name: unit.name, segment } as const;
  walk.units.set(iommu.address, walked);
  unit.registerBase ??= walk.fact(base, place);
  unit.segment ??= walk.fact(segment, place);
  unit.capability ??= walk.fact(iommu.u64("cap"), place);
  unit.extendedCapability ??= walk.fact(iommu.u64("ecap"), place);
  const command = iommu.u32("gcmd");
  unit.command ??= walk.fact(command, place);
  unit.remapping ??= walk.fact((command & remappingEnable) !== 0, place);
  const extended = walk.variable("eim_mode", 4);
  if (extended !== undefined) unit.extendedMode ??= walk.fact(extended !== 0n, "eim_mode");
  // CONFIG_IRQ_REMAP; ir_msi_domain until 6.1.
  for (const member of ["ir_domain", "ir_msi_domain"]) {
    if (iommu.has(member) && iommu.pointer(member) !== 0n) walk.domains.set(iommu.pointer(member), walked);
  }
  const what = `interrupt remapping table of ${unit.name}`;
  const table = walk.attempt(what, () => {
    const found = iommu.has("ir_table") ? iommu.follow("ir_table") : undefined;
    if (found === undefined) {
      throw new InputError("the kernel has made none: it does not remap interrupts with this unit");
    }
    return { value: tableOf(walk, found, what), place: placeOf(found) };
  });
  if (table !== undefined) unit.table ??= walk.fact(table.value, table.place);
  const queue = walk.attempt(`invalidation queue of ${unit.name}`, () => {
    const found = iommu.follow("qi", "q_inval");
    return found && { value: queueOf(walk, found, iommu.u64("ecap")), place: placeOf(found) };
  });
  if (queue !== undefined) unit.queue ??= walk.fact(queue.value, queue.place);
}

function tableOf(walk: KernelWalk, table: KernelStruct, what: string): TableEntries {
  const { kernel } = walk;
  const address = table.pointer("base");
  const { entries, unread } = readEntries(kernel, address, tableLength, 16);
  if (unread !== undefined) walk.missing(`parts of the ${what}`, unread);
  const allocated = walk.attempt(
    `allocated entries of the ${what}`,
    () => new Set(bitsOf(kernel.memory.read(table.pointer("bitmap"), tableLength / 8))),
  );
  return {
    base: kernel.physical(address) ?? null,
    length: tableLength,
    width: 128,
    entries,
    complete: unread === undefined,
    ...(allocated === undefined ? {} : { allocated }),
  };
}

/**
 * The queue as Linux keeps it: its head is the oldest descriptor that is not free yet, its tail the next one that is
 * filled, which is what IQT was last written with.
 */
function queueOf(walk: KernelWalk, queue: KernelStruct, ecap: bigint): QueueState {
  const { kernel } = walk;
  const width = (ecap & scalableMode) === 0n ? 16 : 32;
  const address = queue.pointer("desc");
  const bytes = kernel.memory.read(address, queueLength * width);
  const states = kernel.memory.read(queue.pointer("desc_status"), queueLength * 4);
  const descriptors = Array.from({ length: queueLength }, (_, i) => {
    let value = 0n;
    for (let at = width - 4; at >= 0; at -= 4) value = (value << 32n) | BigInt(dword(bytes, i * width + at));
    return { value, status: dword(states, i * 4) };
  });
  return {
    base: kernel.physical(address) ?? null,
    head: queue.u32("free_tail"),
    tail: queue.u32("free_head"),
    descriptors,
  };
}
