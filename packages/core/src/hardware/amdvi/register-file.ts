import { type RegisterName, registers } from "../../spec/amdvi/registers.ts";
import { type Register, usableBits } from "../../spec/register.ts";

/** What a dword of the register file lets software do. */
export interface Dword {
  readonly name: RegisterName;
  /** Bits that a write changes; the others keep their value. */
  readonly writable: number;
  /** Bits that a write of 1 clears. */
  readonly clearable: number;
}

/** Every dword that belongs to a register, by its word number. */
export const dwords: ReadonlyMap<number, Dword> = new Map(
  (Object.entries(registers) as [RegisterName, Register][]).flatMap(([name, register]) =>
    [0, 1].map((half): [number, Dword] => [
      (register.offset >> 2) + half,
      {
        name,
        writable: register.access === "RW" ? part(usableBits(register), half) : 0,
        clearable: register.access === "RW1C" ? part(usableBits(register), half) : 0,
      },
    ]),
  ),
);

function part(mask: bigint, half: number): number {
  return Number(BigInt.asIntN(32, mask >> BigInt(32 * half)));
}
