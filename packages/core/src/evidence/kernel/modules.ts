import { InputError } from "../input-error.ts";
import { Btf, btfLimit } from "./btf.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";
import { readUpTo } from "./memory.ts";
import { NameTable } from "./name-table.ts";
import { dword, qword, word } from "./words.ts";

const symbolBytes = 24;
const symbolLimit = 1 << 18;
const nameBytesLimit = 1 << 24;
const nameBytes = 512;

/** The modules of a kernel, by its list of them. */
export class Modules {
  readonly #kernel: Kernel;
  readonly #symbols = new Map<string, ((name: string) => bigint | undefined) | undefined>();
  #found: ReadonlyMap<string, KernelStruct> | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** By name, as /proc/modules has it. @throws InputError when the list is broken. */
  get all(): ReadonlyMap<string, KernelStruct> {
    if (this.#found === undefined) {
      const found = new Map<string, KernelStruct>();
      const head = this.#kernel.symbols.address("modules");
      if (head !== undefined) {
        for (const module of listOf(this.#kernel, head, "module", "list"))
          found.set(module.string("name"), module);
      }
      this.#found = found;
    }
    return this.#found;
  }

  /** Where a symbol of a module is; undefined when there is none. */
  address(name: string, module: string): bigint | undefined {
    if (!this.#symbols.has(module)) {
      const found = this.all.get(module);
      this.#symbols.set(module, found && symbolsOf(found));
    }
    return this.#symbols.get(module)?.(name);
  }

  /** The types of a module; undefined when it is not loaded or has none of its own. */
  btf(module: string, base: Btf): Btf | undefined {
    const found = this.all.get(module);
    const place = found && (this.#registered(found) ?? loaded(found));
    if (place === undefined || place.address === 0n || place.size === 0) return undefined;
    if (place.size > btfLimit) {
      throw new InputError(
        `module ${module}: expected at most ${btfLimit} bytes of BTF, found ${place.size}`,
      );
    }
    const bytes = this.#kernel.memory.read(place.address, place.size);
    return new Btf(bytes, base, `BTF of module ${module}`);
  }

  /** What the BPF subsystem keeps of a module's types (since 5.11). */
  #registered(module: KernelStruct): Bytes | undefined {
    const head = this.#kernel.symbols.address("btf_modules");
    if (head === undefined) return undefined;
    for (const kept of listOf(this.#kernel, head, "btf_module", "list")) {
      if (kept.pointer("module") !== module.address) continue;
      const btf = kept.follow("btf");
      return btf && { address: btf.pointer("data"), size: btf.u32("data_size") };
    }
    return undefined;
  }
}

interface Bytes {
  readonly address: bigint;
  readonly size: number;
}

/** What the module itself has; since 6.11 the pointer is cleared once it runs. */
function loaded(module: KernelStruct): Bytes | undefined {
  if (!module.has("btf_data")) return undefined;
  return { address: module.pointer("btf_data"), size: module.u32("btf_data_size") };
}

/** The symbols that the kernel keeps of a module (struct mod_kallsyms): an ELF symbol table with addresses filled in. */
function symbolsOf(module: KernelStruct): (name: string) => bigint | undefined {
  const { memory } = module.kernel;
  const kept = module.follow("kallsyms", "mod_kallsyms");
  if (kept === undefined) return () => undefined;
  const count = kept.u32("num_symtab");
  if (count > symbolLimit) {
    throw new InputError(
      `module ${module.string("name")}: expected at most ${symbolLimit} symbols, found ${count}`,
    );
  }
  const symbols = memory.read(kept.pointer("symtab"), count * symbolBytes);
  let last = 0;
  for (let at = 0; at < symbols.length; at += symbolBytes) last = Math.max(last, dword(symbols, at));
  if (last > nameBytesLimit) {
    throw new InputError(
      `module ${module.string("name")}: expected names of symbols within ${nameBytesLimit} bytes, found one at ${last}`,
    );
  }
  const text = readUpTo(memory, kept.pointer("strtab"), last, last + nameBytes);
  const table = new NameTable([text], count);
  for (let at = 0; at < symbols.length; at += symbolBytes) {
    const start = dword(symbols, at);
    const end = text.indexOf(0, start);
    table.add(start, end < 0 ? text.length : end);
  }
  return (name) => {
    const defined = table.find(name).find((number) => word(symbols, number * symbolBytes + 6) !== 0);
    return defined === undefined ? undefined : qword(symbols, defined * symbolBytes + 8);
  };
}
