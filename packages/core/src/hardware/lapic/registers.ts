import { type ApicRegister, type ApicRegisterName, apicRegisters } from "../../spec/apic/local-apic.ts";
import { type Layout, maskOf, reservedMask } from "../../spec/layout.ts";

/** Where an access leads: a register, and which one of its group. */
export interface Place {
  readonly name: ApicRegisterName;
  readonly register: ApicRegister;
  readonly index: number;
  /** Bits of the xAPIC form that a write changes. */
  readonly writable: number;
  /** Bits of the MSR that a write must not set. */
  readonly reserved: bigint;
}

const offsets = new Map<number, Place>();
const msrs = new Map<number, Place>();

for (const [name, register] of Object.entries(apicRegisters) as [ApicRegisterName, ApicRegister][]) {
  const reserved = reservedMask(register.msrLayout ?? register.layout);
  const writable = Number(BigInt.asIntN(32, writableMask(register.layout, register.readOnly ?? [])));
  for (let index = 0; index < register.count; index++) {
    const place = { name, register, index, writable, reserved };
    if (register.offset !== undefined) offsets.set(register.offset + 16 * index, place);
    if (register.msr !== undefined) msrs.set(register.msr + index, place);
  }
}

function writableMask(layout: Layout, readOnly: readonly string[]): bigint {
  let mask = ~reservedMask(layout);
  for (const name of readOnly) {
    for (const part of layout.fields[name]!.parts) mask &= ~maskOf(part);
  }
  return mask;
}

/** The register at an offset of the xAPIC page; undefined where there is none (apic.register.alignment). */
export function registerAt(offset: number): Place | undefined {
  return offsets.get(offset);
}

/** The register behind an MSR in x2APIC mode; undefined where there is none. */
export function registerOfMsr(msr: number): Place | undefined {
  return msrs.get(msr);
}
