import { type Arguments, type Compiled, underSymbol } from "../hardware/call-stack.ts";
import type { Vmm } from "./vmm.ts";

/**
 * A function of QEMU under its own symbol.
 * @param compiled what compilers made of it, where that is not one frame a call.
 */
export function qemuFunction<A extends Arguments, R>(
  name: string,
  body: (vmm: Vmm, ...args: A) => R,
  compiled: Compiled = {},
): (vmm: Vmm, ...args: A) => R {
  return underSymbol({ ...compiled, name, space: "user" }, body);
}

/** What the compiler put into its callers. */
export const inlined: Compiled = { inlined: true };
