import { reservedMask } from "../../spec/layout.ts";
import { type Register, usableBits } from "../../spec/register.ts";
import { registers } from "../../spec/vtd/registers.ts";

/** What a dword of the register page lets software do. */
export interface Dword {
  readonly name: keyof typeof registers;
  /** Bits that a write changes; the others keep their value. */
  readonly writable: number;
  /** Bits that shall be written as zero. */
  readonly reserved: number;
}

/** Every dword of the register page that belongs to a register with a fixed offset, by its word number. */
export const dwords: ReadonlyMap<number, Dword> = new Map(
  (Object.entries(registers) as [keyof typeof registers, Register][]).flatMap(([name, register]) =>
    halves(register).map((half): [number, Dword] => [
      (register.offset >> 2) + half,
      { name, writable: writableBits(register, half), reserved: reservedBits(register, half) },
    ]),
  ),
);

function halves(register: Register): number[] {
  return register.width === 64 ? [0, 1] : [0];
}

function writableBits(register: Register, half: number): number {
  return register.access === "RW" ? part(usableBits(register), half) : 0;
}

function reservedBits({ layout }: Register, half: number): number {
  return layout?.reserved === undefined ? 0 : part(reservedMask(layout), half);
}

function part(mask: bigint, half: number): number {
  return Number(BigInt.asIntN(32, mask >> BigInt(32 * half)));
}
