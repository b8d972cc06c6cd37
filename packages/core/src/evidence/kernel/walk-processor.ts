import type { VectorBudget } from "../host/processor.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct } from "./kernel-struct.ts";
import { perCpu, processorsOf } from "./per-cpu.ts";
import type { KernelWalk } from "./walk-context.ts";
import { dword } from "./words.ts";

/** Addresses below are offsets into the per-CPU area (before 6.15, where it begins at 0). */
const perCpuLimit = 1n << 32n;
/** Of a processor that has none. */
const noId = 0xffff_ffff;

/** Processors, their APIC ids, and the vectors that the kernel's allocator has given away on each. */
export function walkProcessors(walk: KernelWalk): void {
  const { kernel, draft } = walk;
  walk.processors = processorsOf(kernel, "present");
  const online = new Set(processorsOf(kernel, "online"));
  for (const cpu of walk.processors) {
    draft.processor(cpu).online ??= walk.fact(online.has(cpu), "__cpu_online_mask");
  }
  walk.attempt("APIC ids of the processors", () => walkApicIds(walk));
  walk.attempt("logical APIC ids of the processors", () => walkLogicalIds(walk));
  walk.attempt("vectors of the processors", () => walkMatrix(walk));
}

function walkApicIds(walk: KernelWalk): void {
  // An array of int until 6.8, of u32 since: 32 bits. x86_cpu_to_apicid beside it changed its width in 6.7.
  const address = walk.symbol("cpuid_to_apicid");
  for (const cpu of walk.processors) {
    const id = dword(walk.kernel.memory.read(address + BigInt(cpu * 4), 4), 0);
    if (id !== noId) walk.draft.processor(cpu).apicId ??= walk.fact(id, "cpuid_to_apicid");
  }
}

function walkLogicalIds(walk: KernelWalk): void {
  const { kernel, draft } = walk;
  if (draft.system.routing?.value.destinations !== "cluster") return;
  const address = walk.symbol("x86_cpu_to_logical_apicid");
  // A per-CPU variable until 5.10, a pointer to an array since 5.11.
  const array = address < perCpuLimit ? undefined : walk.variable("x86_cpu_to_logical_apicid", 8);
  for (const cpu of walk.processors) {
    if (draft.processor(cpu).online?.value === false) continue;
    const at = array === undefined ? perCpu(kernel, cpu, address) : array + BigInt(cpu * 4);
    const id = dword(kernel.memory.read(at, 4), 0);
    draft.processor(cpu).logicalId ??= walk.fact(id, "x86_cpu_to_logical_apicid");
  }
}

function walkMatrix(walk: KernelWalk): void {
  const { kernel, draft } = walk;
  const address = walk.variable("vector_matrix", 8);
  if (address === undefined || address === 0n) return;
  const maps = new KernelStruct(kernel, "irq_matrix", address).pointer("maps");
  for (const cpu of walk.processors) {
    const budget = budgetOf(kernel, perCpu(kernel, cpu, maps));
    if (budget !== undefined) draft.processor(cpu).vectors ??= walk.fact(budget, "vector_matrix");
  }
}

/** Undefined for a processor that has not been online. */
function budgetOf(kernel: Kernel, address: bigint): VectorBudget | undefined {
  const map = new KernelStruct(kernel, "cpumap", address);
  if (!map.flag("initialized")) return undefined;
  return {
    available: map.u32("available"),
    allocated: map.u32("allocated"),
    managed: map.u32("managed"),
    // Since 5.1.
    managedAllocated: map.u32("managed_allocated"),
  };
}
