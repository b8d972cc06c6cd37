import type { AddressSpace } from "./memory.ts";

/** Where a kernel's symbols are, its modules' among them. */
export interface KernelSymbols {
  /** The address of a symbol, of the kernel unless a module is named; undefined when there is none. */
  address(name: string, module?: string): bigint | undefined;
}

/** A member of a structure, through the anonymous structures and unions that it lies in. */
export interface KernelMember {
  /** From the start of the structure, in bits; of a bit field its lowest one. */
  readonly bitOffset: number;
  /** Of a bit field; 0 for any other member. */
  readonly bitWidth: number;
  /** In bytes. */
  readonly size: number;
  /** The name of the structure or union that it is, points to, or is an array of; null for any other type. */
  readonly type: string | null;
  /** Elements of an array; 1 for any other type, 0 for a flexible one. */
  readonly count: number;
  /** Whether it is a pointer, or an array of them. */
  readonly pointer: boolean;
}

export interface KernelType {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /**
   * Undefined when it has no such member, in this release.
   * @param name a member of a member with a dot between them, as `irqfds.items`: pointers are not followed.
   */
  member(name: string): KernelMember | undefined;
}

/** What BTF says of a kernel's types. */
export interface KernelTypes {
  /** A structure or union, of the kernel unless a module is named; undefined when there is none. */
  type(name: string, module?: string): KernelType | undefined;
  /** The value of an enumerator. */
  enumerator(name: string, module?: string): number | undefined;
}

/** A kernel whose memory can be walked: one that runs, or one in a dump. */
export interface Kernel {
  /** As `uname -r` prints it. */
  readonly release: string;
  /** Its virtual addresses. */
  readonly memory: AddressSpace;
  /** Its RAM by physical address, where that can be read: parts of it, as ACPI tables, are not in the direct map. */
  readonly ram?: AddressSpace;
  readonly symbols: KernelSymbols;
  readonly types: KernelTypes;
  /** The physical address behind a virtual one; undefined when it cannot be told. */
  physical(virtual: bigint): bigint | undefined;
  /** The virtual address in the direct map of a physical one. */
  virtual(physical: bigint): bigint;
}
