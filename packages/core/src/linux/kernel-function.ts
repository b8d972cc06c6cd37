import { type Arguments, type Compiled, underSymbol } from "../hardware/call-stack.ts";
import type { Kernel } from "./kernel.ts";

/**
 * A function of the kernel under its own symbol.
 * @param compiled what compilers made of it, where that is not one frame a call.
 */
export function kernelFunction<A extends Arguments, R>(
  name: string,
  body: (k: Kernel, ...args: A) => R,
  compiled: Compiled = {},
): (k: Kernel, ...args: A) => R {
  return underSymbol({ ...compiled, name, space: "kernel" }, body);
}
