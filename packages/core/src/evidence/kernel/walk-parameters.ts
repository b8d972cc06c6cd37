import type { Kernel } from "./kernel.ts";
import { KernelStruct, typeOf } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";
import type { KernelWalk } from "./walk-context.ts";

/** Modules whose parameters bear on interrupts. */
const modules: ReadonlySet<string> = new Set([
  "kvm",
  "kvm_intel",
  "kvm_amd",
  "vfio",
  "vfio_pci",
  "vfio_pci_core",
  "vfio_iommu_type1",
  "iommufd",
  "irqbypass",
  "pcie_aspm",
]);
const parameterLimit = 4096;

type Printer = (kernel: Kernel, at: bigint) => string;

const bytesAt = (kernel: Kernel, at: bigint, bytes: number): bigint => {
  let value = 0n;
  for (const byte of [...kernel.memory.read(at, bytes)].reverse()) value = (value << 8n) | BigInt(byte);
  return value;
};
const signed =
  (bytes: number): Printer =>
  (kernel, at) =>
    BigInt.asIntN(bytes * 8, bytesAt(kernel, at, bytes)).toString();
const unsigned =
  (bytes: number): Printer =>
  (kernel, at) =>
    bytesAt(kernel, at, bytes).toString();

/** How a parameter is printed, by the symbol of its operations; one with operations of its own is left out. */
const printers: Readonly<Record<string, Printer>> = {
  param_ops_bool: (kernel, at) => (bytesAt(kernel, at, 1) === 0n ? "N" : "Y"),
  param_ops_bool_enable_only: (kernel, at) => (bytesAt(kernel, at, 1) === 0n ? "N" : "Y"),
  param_ops_invbool: (kernel, at) => (bytesAt(kernel, at, 1) === 0n ? "Y" : "N"),
  param_ops_bint: signed(4),
  param_ops_byte: unsigned(1),
  param_ops_short: signed(2),
  param_ops_ushort: unsigned(2),
  param_ops_int: signed(4),
  param_ops_uint: unsigned(4),
  param_ops_long: signed(8),
  param_ops_ulong: unsigned(8),
  param_ops_ullong: unsigned(8),
};

/** Parameters of the modules that bear on interrupts, as sysfs would show them; those that it would not are left out. */
export function walkParameters(walk: KernelWalk): void {
  const { kernel } = walk;
  const byOperations = new Map<bigint, Printer>();
  for (const [name, printer] of Object.entries(printers)) {
    const address = kernel.symbols.address(name);
    if (address !== undefined) byOperations.set(address, printer);
  }
  for (const module of listOf(kernel, walk.symbol("modules"), "module", "list")) {
    const name = module.string("name");
    if (!modules.has(name)) continue;
    walk.attempt(`parameters of module ${name}`, () => {
      addParameters(walk, byOperations, module.pointer("kp"), module.u32("num_kp"), name);
    });
  }
  // Those of modules that are built in have the module's name before a dot.
  const start = kernel.symbols.address("__start___param");
  const stop = kernel.symbols.address("__stop___param");
  if (start === undefined || stop === undefined || stop < start) return;
  const count = Number(stop - start) / typeOf(kernel, "kernel_param").size;
  addParameters(walk, byOperations, start, count, null);
}

function addParameters(
  walk: KernelWalk,
  printers: ReadonlyMap<bigint, Printer>,
  start: bigint,
  count: number,
  module: string | null,
): void {
  const { kernel, draft } = walk;
  const type = typeOf(kernel, "kernel_param");
  for (let i = 0; i < Math.min(count, parameterLimit); i++) {
    const parameter = new KernelStruct(kernel, type, start + BigInt(i * type.size));
    const print = printers.get(parameter.pointer("ops"));
    // Without permissions it has no file.
    if (print === undefined || parameter.u16("perm") === 0) continue;
    const own = parameter.string("name");
    if (module === null && !modules.has(own.slice(0, Math.max(0, own.indexOf("."))))) continue;
    const name = module === null ? own : `${module}.${own}`;
    if (draft.system.parameters.has(name)) continue;
    draft.system.parameters.set(
      name,
      walk.fact(print(kernel, parameter.pointer("arg")), `kernel_param ${name}`),
    );
  }
}
