import type { Kernel, KernelMember, KernelType } from "../kernel.ts";
import { memberOf } from "./layout-kernel.ts";
import { SparseMemory } from "./sparse-memory.ts";

/** What `tools/record-kernel.ts` writes, before the bytes. */
interface Header {
  readonly release: string;
  readonly directMap: string;
  readonly symbols: Readonly<Record<string, string | null>>;
  readonly types: Readonly<
    Record<
      string,
      { readonly size: number; readonly members: Readonly<Record<string, string | null>> } | null
    >
  >;
  readonly enumerators: Readonly<Record<string, number | null>>;
  readonly physical: Readonly<Record<string, string>>;
  readonly ranges: Readonly<Record<"memory" | "ram", readonly (readonly [start: string, length: number])[]>>;
}

/**
 * A real kernel, as far as its walk read it: bytes, symbols, members. A test may change each of them. What was not read
 * is zero in a page of which something was, and not there in others.
 */
export class RecordedKernel implements Kernel {
  readonly memory: SparseMemory = new SparseMemory();
  readonly ram: SparseMemory = new SparseMemory();
  readonly places: Map<string, bigint> = new Map();
  /** Members by name, of each structure; undefined as a member's value for one that it has not. */
  readonly members: Map<string, { size: number; readonly members: Map<string, KernelMember | undefined> }> =
    new Map();
  readonly release: string;
  readonly #enumerators: ReadonlyMap<string, number>;
  readonly #physical: ReadonlyMap<bigint, bigint>;
  readonly #directMap: bigint;

  /** @param bytes of a file `kernel-….br` of `evidence/fixtures`, expanded. */
  constructor(bytes: Uint8Array) {
    const end = bytes.indexOf(10);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as Header;
    let at = end + 1;
    for (const space of ["memory", "ram"] as const) {
      for (const [start, length] of header.ranges[space]) {
        this[space].write(BigInt(`0x${start}`), bytes.subarray(at, (at += length)));
      }
    }
    this.release = header.release;
    this.#directMap = BigInt(`0x${header.directMap}`);
    this.#enumerators = new Map(present(header.enumerators));
    this.#physical = new Map(
      Object.entries(header.physical).map(([from, to]) => [BigInt(`0x${from}`), BigInt(`0x${to}`)]),
    );
    for (const [symbol, address] of present(header.symbols)) this.places.set(symbol, BigInt(`0x${address}`));
    for (const [type, { size, members }] of present(header.types)) {
      this.members.set(type, {
        size,
        members: new Map(
          Object.entries(members).map(([path, row]) => [path, row === null ? undefined : memberOf(row)]),
        ),
      });
    }
  }

  readonly symbols: Kernel["symbols"] = { address: (name) => this.places.get(name) };

  readonly types: Kernel["types"] = {
    type: (name) => {
      const found = this.members.get(name);
      return found && typeOf(name, found.size, found.members);
    },
    enumerator: (name) => this.#enumerators.get(name),
  };

  physical(virtual: bigint): bigint | undefined {
    return this.#physical.get(virtual);
  }

  virtual(physical: bigint): bigint {
    return this.#directMap + physical;
  }

  /** Has a structure's member, or takes it away. */
  change(type: string, path: string, member: KernelMember | undefined): void {
    this.members.get(type)!.members.set(path, member);
  }

  /** The address of a member of a structure. */
  at(type: string, address: bigint, path: string): bigint {
    return address + BigInt(this.members.get(type)!.members.get(path)!.bitOffset >>> 3);
  }
}

function typeOf(
  name: string,
  size: number,
  members: ReadonlyMap<string, KernelMember | undefined>,
): KernelType {
  return { name, size, member: (path) => members.get(path) };
}

function present<Value>(values: Readonly<Record<string, Value | null>>): [string, Value][] {
  return Object.entries(values).filter((entry): entry is [string, Value] => entry[1] !== null);
}
