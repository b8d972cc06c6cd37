import type { Vendor } from "../qemu-trace/index.ts";
import type { ApicRouting } from "../host/system.ts";
import { InputError } from "../input-error.ts";
import { KernelStruct, readQuad, readString } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";
import type { KernelWalk } from "./walk-context.ts";
import { qword } from "./words.ts";
import { walkParameters } from "./walk-parameters.ts";

const commandLineLimit = 4096;
/** Flags in a word of x86_capability. */
const wordBits = 32;
const flagWordLimit = 64;

const vendors: ReadonlyMap<string, Vendor> = new Map([
  ["GenuineIntel", "intel"],
  ["AuthenticAMD", "amd"],
  ["HygonGenuine", "amd"],
]);

/** Variables by which the kernel decides about remapping, and their bytes. */
const variables: readonly (readonly [name: string, bytes: 1 | 4])[] = [
  ["irq_remapping_enabled", 4],
  ["irq_remap_broken", 4],
  ["disable_irq_remap", 4],
  ["disable_irq_post", 4],
  ["disable_sourceid_checking", 4],
  ["no_x2apic_optout", 4],
  ["x2apic_mode", 4],
  ["eim_mode", 4],
  ["intel_iommu_enabled", 4],
  ["amd_iommu_irq_remap", 1],
  ["amd_iommu_guest_ir", 4],
  ["amd_iommu_xt_mode", 4],
  // Since 6.11.
  ["enable_posted_msi", 1],
];

const implementations = ["intel_irq_remap_ops", "amd_iommu_irq_ops", "hyperv_irq_remap_ops"];

/** The release, the command line, the processors' vendor and flags, the routing of the APICs, parameters, modules. */
export function walkSystem(walk: KernelWalk): void {
  const { kernel } = walk;
  const { system } = walk.draft;
  system.release ??= walk.fact(kernel.release, "init_uts_ns");
  walk.attempt("kernel command line", () => {
    const text = readString(kernel, readQuad(kernel, walk.symbol("saved_command_line")), commandLineLimit);
    system.commandLine ??= walk.fact(text, "saved_command_line");
  });
  walk.attempt("vendor of the processors", () => walkProcessor(walk));
  walk.attempt("routing of the local APICs", () => {
    const routing = routingOf(walk);
    system.routing ??= walk.fact(routing, "apic");
  });
  walk.attempt("the kernel's variables of interrupt remapping", () => walkVariables(walk));
  walk.attempt("loaded modules", () => {
    const names = new Set<string>();
    for (const module of listOf(kernel, walk.symbol("modules"), "module", "list"))
      names.add(module.string("name"));
    system.modules ??= walk.fact(names, "modules");
  });
  walk.attempt("module parameters", () => walkParameters(walk));
}

function walkProcessor(walk: KernelWalk): void {
  const { kernel, draft } = walk;
  const processor = new KernelStruct(kernel, "cpuinfo_x86", walk.symbol("boot_cpu_data"));
  const name = processor.string("x86_vendor_id");
  const vendor = vendors.get(name);
  if (vendor === undefined) {
    walk.missing(
      "vendor of the processors",
      `expected one of ${[...vendors.keys()].join(", ")}, found ${name}`,
    );
  } else {
    draft.system.vendor ??= walk.fact(vendor, "boot_cpu_data");
  }
  const flags = walk.attempt("flags of the processors", () =>
    flagsOf(walk, processor.bytes("x86_capability")),
  );
  if (flags !== undefined) draft.system.flags ??= walk.fact(flags, "boot_cpu_data");
}

/** Flags by the kernel's own names; behind their words stand those of bugs, whose names are elsewhere. */
function flagsOf(walk: KernelWalk, words: Uint8Array): Set<string> {
  const { kernel } = walk;
  const names = walk.symbol("x86_cap_flags");
  const bugs = kernel.symbols.address("x86_bug_flags");
  const between = bugs === undefined ? 0n : names - bugs;
  const bugWords = between > 0n && between <= 1024n ? Number(between) / (wordBits * 8) : 2;
  const count = Math.min(words.length / 4 - bugWords, flagWordLimit);
  const pointers = kernel.memory.read(names, count * wordBits * 8);
  const flags = new Set<string>();
  for (let bit = 0; bit < count * wordBits; bit++) {
    if (((words[bit >> 3]! >> (bit & 7)) & 1) === 0) continue;
    const name = qword(pointers, bit * 8);
    if (name !== 0n) flags.add(readString(kernel, name, 64));
  }
  return flags;
}

/** By the name of the driver in `apic`: "physical flat", "flat", "physical x2apic", "cluster x2apic", … */
function routingOf(walk: KernelWalk): ApicRouting {
  const driver = new KernelStruct(walk.kernel, "apic", readQuad(walk.kernel, walk.symbol("apic")));
  const name = driver.string("name");
  if (name === "flat") return { mode: "xapic", destinations: "flat" };
  if (name === "physical flat") return { mode: "xapic", destinations: "physical" };
  if (name === "cluster x2apic") return { mode: "x2apic", destinations: "cluster" };
  // Also that of UV, and of SEV guests with a secure AVIC (since 6.18).
  if (name.includes("x2apic")) return { mode: "x2apic", destinations: "physical" };
  throw new InputError(
    `expected the kernel's APIC driver to be flat, physical flat or an x2apic one, found ${JSON.stringify(name)}`,
  );
}

function walkVariables(walk: KernelWalk): void {
  const { kernel, draft } = walk;
  const found = new Map<string, number | string>();
  for (const [name, bytes] of variables) {
    const value = walk.variable(name, bytes);
    if (value !== undefined) found.set(name, Number(BigInt.asIntN(bytes * 8, value)));
  }
  const chosen = walk.variable("remap_ops", 8);
  if (chosen !== undefined && chosen !== 0n) {
    const name = implementations.find((symbol) => kernel.symbols.address(symbol) === chosen);
    if (name !== undefined) found.set("remap_ops", name);
    // Bit 0: the hardware can post (IRQ_POSTING_CAP).
    found.set("remap_ops.capability", new KernelStruct(kernel, "irq_remap_ops", chosen).u32("capability"));
  }
  draft.system.variables ??= walk.fact(found, "remap_ops");
}
