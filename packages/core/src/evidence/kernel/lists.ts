import { hex } from "../../spec/codec.ts";
import { InputError } from "../input-error.ts";
import type { Kernel, KernelType } from "./kernel.ts";
import { KernelStruct, readQuad, typeOf } from "./kernel-struct.ts";

/** Elements of a list that are believed. */
const listLimit = 1 << 16;

/**
 * The structures in a list, by their `list_head`.
 * @param head the address of the list's head.
 * @param type of the structures, and the member in it by which they are linked.
 * @throws InputError when the list does not come back to its head; UnreadableMemory when an element is not there.
 */
export function listOf(
  kernel: Kernel,
  head: bigint,
  type: string | KernelType,
  member: string,
  module?: string,
): Generator<KernelStruct> {
  return structuresIn(kernel, linked(kernel, head, head), type, member, module);
}

/** The structures in a list that ends with a zero (`hlist_head`), or in one of `hlist_nulls` with an odd number. */
export function hashListOf(
  kernel: Kernel,
  head: bigint,
  type: string | KernelType,
  member: string,
  module?: string,
): Generator<KernelStruct> {
  return structuresIn(kernel, linked(kernel, head, 0n), type, member, module);
}

function* structuresIn(
  kernel: Kernel,
  links: Iterable<bigint>,
  type: string | KernelType,
  member: string,
  module: string | undefined,
): Generator<KernelStruct> {
  const found = typeof type === "string" ? typeOf(kernel, type, module) : type;
  const offset = offsetOf(kernel, found, member);
  for (const at of links) yield new KernelStruct(kernel, found, at - offset, module);
}

/** What is linked by the first 8 bytes of each, behind `head` and up to `end`. */
function* linked(kernel: Kernel, head: bigint, end: bigint): Generator<bigint> {
  const seen = new Set<bigint>();
  for (let at = readQuad(kernel, head); at !== end; at = readQuad(kernel, at)) {
    if (end === 0n && (at & 1n) === 1n) return;
    if (seen.has(at) || seen.size === listLimit) {
      throw new InputError(
        `${kernel.memory.name}: list at ${hex(head)}: expected it to end, ` +
          (seen.has(at)
            ? `it runs in a circle after ${seen.size} elements`
            : `found more than ${listLimit} elements`),
      );
    }
    seen.add(at);
    yield at;
  }
}

function offsetOf(kernel: Kernel, type: KernelType, member: string): bigint {
  const found = type.member(member);
  if (found === undefined) {
    throw new InputError(
      `${kernel.memory.name}: struct ${type.name} of kernel ${kernel.release}: expected a member ${member}`,
    );
  }
  return BigInt(found.bitOffset >>> 3);
}
