import { pidPointer } from "../../../spec/apic/vmx.ts";
import { encode } from "../../../spec/codec.ts";
import type { Kernel } from "../../kernel.ts";
import { pageBytes } from "../../pages.ts";
import type { Vcpu } from "../vcpu.ts";
import type { KvmVm } from "../vm.ts";

const entryBytes = pidPointer.width / 8;
const lastIndex = pageBytes / entryBytes - 1;

/** The tables, one for each VM, by which processors find the descriptors to which they post IPIs. */
export class PidPointerTables {
  readonly #tables = new Map<KvmVm, number>();

  /** @throws RangeError when there is no memory. */
  allocate(k: Kernel, vm: KvmVm): void {
    const table = k.pages.allocate(pageBytes);
    if (table < 0) throw new RangeError(`${vm.name}: no memory for a PID-pointer table`);
    this.#tables.set(vm, table);
  }

  free(k: Kernel, vm: KvmVm): void {
    const table = this.#tables.get(vm);
    if (table === undefined) return;
    this.#tables.delete(vm);
    k.pages.free(table);
  }

  /** @returns the table as a VMCS has it; null where the VM has none. */
  add(k: Kernel, vcpu: Vcpu, descriptor: number): { readonly table: number; readonly last: number } | null {
    const table = this.#tables.get(vcpu.vm);
    if (table === undefined) return null;
    k.memory.write64(table + vcpu.apicId * entryBytes, encode(pidPointer, { v: 1, pida: descriptor }));
    return { table, last: lastIndex };
  }

  remove(k: Kernel, vcpu: Vcpu): void {
    const table = this.#tables.get(vcpu.vm);
    if (table !== undefined) k.memory.write64(table + vcpu.apicId * entryBytes, 0n);
  }
}
