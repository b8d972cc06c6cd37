import type { KernelType } from "./kernel.ts";

/** Kinds of types (Documentation/bpf/btf.rst). */
export const btfKind = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  prototype: 13,
  variable: 14,
  section: 15,
  float: 16,
  declarationTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

/** A type as BTF has it. */
export interface BtfType {
  readonly kind: number;
  readonly name: string;
  /** Bit fields have their width in the members (kind_flag). */
  readonly flag: boolean;
  /** Members, enumerators, parameters. */
  readonly parts: number;
  /** Size in bytes, or the id of the type that it refers to. */
  readonly sizeOrType: number;
  /** Of what stands behind the 12 bytes of each type, in `bytes`. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Types by their ids. */
export interface BtfTypes {
  readonly name: string;
  /** The type with an id. @throws InputError when there is none. */
  at(id: number): BtfType;
  string(offset: number): string;
  /** The id behind typedefs and qualifiers. @throws InputError when they go round. */
  resolve(id: number): number;
  /** A structure or union by its id. @param name what to call it, where this is the first to ask. */
  composite(id: number, name: string): KernelType;
}

/** Whether it is a structure or a union. */
export function isComposite({ kind }: BtfType): boolean {
  return kind === btfKind.struct || kind === btfKind.union;
}
