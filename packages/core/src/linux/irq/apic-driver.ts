import { x2apicLogicalDestination } from "../../spec/apic/local-apic.ts";
import { encode } from "../../spec/codec.ts";
import type { Kernel } from "../kernel.ts";

/** `struct apic`: how the local APICs of the machine are addressed. */
export interface ApicDriver {
  readonly name: "cluster x2apic" | "physical x2apic" | "physical flat";
  /** `dest_mode_logical` */
  readonly logical: boolean;
  /** `calc_dest_apicid`. @param cpu Linux CPU number. */
  destinationOf(cpu: number): number;
}

/** The driver that the machine's mode and the command line ask for. */
export function apicDriver(k: Kernel): ApicDriver {
  const idOf = (cpu: number): number => k.cpus[cpu]!.apicId;
  if (!k.x2apic) return { name: "physical flat", logical: false, destinationOf: idOf };
  // Without remapping only physical destinations of a hypervisor's making reach beyond 8 bits.
  const physical = k.parameters.x2apicPhys || k.remapping?.enabled !== true;
  if (physical) return { name: "physical x2apic", logical: false, destinationOf: idOf };
  return { name: "cluster x2apic", logical: true, destinationOf: (cpu) => logicalIdOf(idOf(cpu)) };
}

/** The logical id that an APIC in x2APIC mode derives from its own (rule apic.ldr.derived). */
function logicalIdOf(id: number): number {
  return Number(encode(x2apicLogicalDestination, { members: 1 << (id & 15), cluster: id >>> 4 }));
}
