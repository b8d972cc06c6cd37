import { Btf } from "../btf.ts";
import type { Kernel } from "../kernel.ts";
import { SparseMemory } from "./sparse-memory.ts";

/** A kernel of types and symbols that a test names, in memory that it writes. */
export class SyntheticKernel implements Kernel {
  readonly release: string;
  readonly memory: SparseMemory = new SparseMemory();
  /** By name, of a module's as `module:name`. */
  readonly places: Map<string, bigint> = new Map();
  readonly #types: Btf;
  readonly #moduleTypes: ReadonlyMap<string, Btf>;

  /** @param moduleBtf BTF of modules, each beside the kernel's. */
  constructor(btf: Uint8Array, moduleBtf: Readonly<Record<string, Uint8Array>> = {}, release = "6.1.0") {
    this.release = release;
    this.#types = new Btf(btf);
    this.#moduleTypes = new Map(
      Object.entries(moduleBtf).map(([name, bytes]) => [name, new Btf(bytes, this.#types)]),
    );
  }

  readonly symbols: Kernel["symbols"] = {
    address: (name, module) => this.places.get(module === undefined ? name : `${module}:${name}`),
  };

  readonly types: Kernel["types"] = {
    type: (name, module) => this.#of(module).type(name),
    enumerator: (name, module) => this.#of(module).enumerator(name),
  };

  physical(virtual: bigint): bigint | undefined {
    return virtual >= directMap ? virtual - directMap : undefined;
  }

  virtual(physical: bigint): bigint {
    return directMap + physical;
  }

  /** Writes a member of a structure by its name, as wide as it is. */
  set(type: string, address: bigint, name: string, value: bigint | number, module?: string): void {
    const member = this.types.type(type, module)?.member(name);
    if (member === undefined) throw new RangeError(`struct ${type} has no ${name}`);
    const at = address + BigInt(member.bitOffset >>> 3);
    const shift = BigInt(member.bitOffset & 7);
    const width = member.bitWidth === 0 ? BigInt(member.size * 8) : BigInt(member.bitWidth);
    const size = Number((shift + width + 7n) / 8n);
    const mask = ((1n << width) - 1n) << shift;
    this.memory.put(at, (this.#quad(at, size) & ~mask) | ((BigInt(value) << shift) & mask), size);
  }

  #quad(at: bigint, size: number): bigint {
    let value = 0n;
    try {
      for (const byte of this.memory.read(at, size).toReversed()) value = (value << 8n) | BigInt(byte);
    } catch {
      // Never written: zeros.
    }
    return value;
  }

  #of(module: string | undefined): Btf {
    return (module === undefined ? undefined : this.#moduleTypes.get(module)) ?? this.#types;
  }
}

const directMap = 0xffff_8880_0000_0000n;
