import { type Arguments, type FunctionSymbol, underSymbol } from "../hardware/call-stack.ts";
import type { Kernel } from "./kernel.ts";

/**
 * A function of the kernel under its own symbol.
 * @param more what compilers made of it, where that is not one frame a call; and whether the IDT leads to it.
 */
export function kernelFunction<A extends Arguments, R>(
  name: string,
  body: (k: Kernel, ...args: A) => R,
  more: Omit<FunctionSymbol, "name" | "space"> = {},
): (k: Kernel, ...args: A) => R {
  return underSymbol({ ...more, name, space: "kernel" }, body);
}
