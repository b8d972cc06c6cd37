import { type RegisterName, registers } from "../../spec/amdvi/registers.ts";
import type { Register } from "../../spec/register.ts";
import { maskOf, reservedMask } from "../../spec/layout.ts";

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

function usableBits({ width, layout, fixed }: Register): bigint {
  const all = maskOf([width - 1, 0]);
  if (layout === undefined) return all;
  let mask = all & ~reservedMask(layout);
  for (const name of fixed ?? []) for (const part of layout.fields[name]!.parts) mask &= ~maskOf(part);
  return mask;
}

function part(mask: bigint, half: number): number {
  return Number(BigInt.asIntN(32, mask >> BigInt(32 * half)));
}
