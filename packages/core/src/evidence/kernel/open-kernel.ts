import { hex } from "../../spec/codec.ts";
import type { ByteSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";
import { Btf, btfLimit } from "./btf.ts";
import {
  type ElfCore,
  elfPhysicalMemory,
  elfVirtualMemory,
  readElfCore,
  vmcoreinfoNote,
} from "./elf-core.ts";
import { KallsymsText, readKallsyms } from "./kallsyms.ts";
import type { Kernel, KernelSymbols, KernelTypes } from "./kernel.ts";
import { type AddressSpace, UnreadableMemory } from "./memory.ts";
import { Modules } from "./modules.ts";
import { PagedMemory } from "./page-tables.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { Vmcoreinfo, scanForVmcoreinfo } from "./vmcoreinfo.ts";
import { dword, qword, textUpToZero } from "./words.ts";

/** Symbols of the kernel without its modules. */
interface SymbolTable {
  address(name: string): bigint | undefined;
}

export interface OpenCoreOptions {
  /** Told while RAM is looked through for VMCOREINFO, in bytes. */
  readonly progress?: (done: bigint, total: bigint) => void;
}

/** Where the kernel's image is mapped when it was not moved (`__START_KERNEL_map`); KASLR moves it within 2 GiB. */
const imageMap = 0xffff_ffff_8000_0000n;
/** Where all memory is mapped in a kernel that does not move it (`__PAGE_OFFSET_BASE_L4`, `_L5`). */
const directMap = { 4: 0xffff_8880_0000_0000n, 5: 0xff11_0000_0000_0000n } as const;
/** struct new_utsname: fields of 65 bytes; the release is the third. */
const releaseAt = 130;
const releaseBytes = 65;

/**
 * The kernel of a dump, by nothing but the dump: VMCOREINFO, page tables, kallsyms, BTF.
 * @throws InputError when one of them is not there.
 */
export function openCoreKernel(physical: PhysicalMemory, options: OpenCoreOptions = {}): Kernel {
  const { info, levels, memory } = find(physical, options);
  const table = readKallsyms(memory, info);
  const offset = directMapOf(memory, table, levels);
  return kernelOf(info.release, memory, table, () => imageTypes(memory, table), {
    ram: physical,
    physical: (virtual) => memory.physical(virtual),
    virtual: (address) => offset + address,
  });
}

interface Found {
  readonly info: Vmcoreinfo;
  readonly levels: 4 | 5;
  readonly memory: PagedMemory;
}

/** VMCOREINFO of the kernel whose memory it is, and not of a guest that it runs. */
function find(physical: PhysicalMemory, options: OpenCoreOptions): Found {
  if (physical.vmcoreinfo !== undefined) {
    const info = new Vmcoreinfo(physical.vmcoreinfo);
    const found = check(physical, info);
    if (typeof found !== "string") return found;
    throw new InputError(`${physical.name}: VMCOREINFO of kernel ${info.release}: ${found}`);
  }
  let last = "";
  for (const text of scanForVmcoreinfo(physical, options.progress)) {
    const info = new Vmcoreinfo(text);
    const found = check(physical, info);
    if (typeof found !== "string") return found;
    last = `; that of ${info.release} is not of this memory: ${found}`;
  }
  throw new InputError(
    `${physical.name}: expected a VMCOREINFO note of a Linux kernel, in the notes of the dump or in its memory${last}`,
  );
}

/** The memory behind the page tables that VMCOREINFO names, or why they are not those of its kernel. */
function check(physical: PhysicalMemory, info: Vmcoreinfo): Found | string {
  const top = info.symbol("init_top_pgt") ?? info.symbol("swapper_pg_dir");
  const names = info.symbol("init_uts_ns");
  const base = info.number("phys_base");
  if (top === undefined || names === undefined || base === undefined) {
    return "expected SYMBOL(init_top_pgt), SYMBOL(init_uts_ns) and NUMBER(phys_base) of x86-64";
  }
  const levels = info.number("pgtable_l5_enabled") === 1n ? 5 : 4;
  const encryption = BigInt.asUintN(64, info.number("sme_mask") ?? 0n);
  const memory = new PagedMemory(physical, {
    base: BigInt.asUintN(64, top - imageMap + base),
    levels,
    encryption,
  });
  const at = names + BigInt((info.offset("uts_namespace.name") ?? 0) + releaseAt);
  try {
    const release = textUpToZero(memory.read(at, releaseBytes), 0, releaseBytes);
    if (release === info.release) return { info, levels, memory };
    return `expected its release in init_uts_ns, found ${JSON.stringify(release.slice(0, 40))}`;
  } catch (error) {
    if (error instanceof UnreadableMemory) return error.message;
    throw error;
  }
}

function directMapOf(memory: AddressSpace, table: SymbolTable, levels: 4 | 5): bigint {
  const symbol = table.address("page_offset_base");
  return symbol === undefined ? directMap[levels] : qword(memory.read(symbol, 8), 0);
}

function imageTypes(memory: AddressSpace, table: SymbolTable): Btf {
  const start = table.address("__start_BTF");
  const stop = table.address("__stop_BTF");
  if (start === undefined || stop === undefined || stop <= start || stop - start > BigInt(btfLimit)) {
    throw new InputError(
      `${memory.name}: expected BTF of at most ${btfLimit} bytes from __start_BTF to __stop_BTF, as a kernel with ` +
        `CONFIG_DEBUG_INFO_BTF and CONFIG_KALLSYMS_ALL has it, found ${start === undefined ? "none" : hex(start)}`,
    );
  }
  return new Btf(memory.read(start, Number(stop - start)), null, `${memory.name}: BTF`);
}

type Conversions = Pick<Kernel, "ram" | "physical" | "virtual">;

/** A kernel whose types are read when the first is asked for, and modules when one of theirs is. */
function kernelOf(
  release: string,
  memory: AddressSpace,
  table: SymbolTable,
  openTypes: () => Btf,
  conversions: Conversions,
  live?: { readonly symbols?: KallsymsText; moduleBtf(name: string): Uint8Array | undefined },
): Kernel {
  let types: Btf | undefined;
  const base = (): Btf => (types ??= openTypes());
  const moduleTypes = new Map<string, Btf | undefined>();
  const symbolsOf: KernelSymbols = {
    address: (name, module) => {
      if (module === undefined) return table.address(name);
      return live?.symbols === undefined ? modules.address(name, module) : live.symbols.address(name, module);
    },
  };
  const typesOf = (module: string | undefined): Btf | undefined => {
    if (module === undefined) return base();
    if (!moduleTypes.has(module)) {
      const bytes = live?.moduleBtf(module);
      moduleTypes.set(
        module,
        bytes === undefined ? modules.btf(module, base()) : new Btf(bytes, base(), `BTF of module ${module}`),
      );
    }
    return moduleTypes.get(module);
  };
  const kernelTypes: KernelTypes = {
    type: (name, module) => (typesOf(module) ?? base()).type(name),
    enumerator: (name, module) => (typesOf(module) ?? base()).enumerator(name),
  };
  const kernel: Kernel = { release, memory, symbols: symbolsOf, types: kernelTypes, ...conversions };
  const modules = new Modules(kernel);
  return kernel;
}

/** What a running kernel shows of itself to root; functions, so that nothing is read that is not needed. */
export interface LiveKernelSources {
  /** /proc/kcore. */
  readonly kcore: ByteSource;
  /** /proc/kallsyms, where /proc/kcore does not say where the symbols are (before 6.0); undefined when it cannot be read. */
  readonly kallsyms: () => Uint8Array | undefined;
  /** /sys/kernel/btf/vmlinux; undefined when there is none. */
  readonly btf: () => Uint8Array | undefined;
  /** /sys/kernel/btf/<module>; undefined when there is none. */
  readonly moduleBtf: (module: string) => Uint8Array | undefined;
  /** As `uname -r` prints it, for kernels whose /proc/kcore has no VMCOREINFO (before 4.19). */
  readonly release?: string;
}

/**
 * The kernel that runs.
 * @throws InputError when it does not show its symbols or its types.
 */
export function openLiveKernel(sources: LiveKernelSources): Kernel {
  const core = readElfCore(sources.kcore);
  const memory = elfVirtualMemory(core);
  const note = vmcoreinfoNote(core);
  const info = note === undefined ? undefined : new Vmcoreinfo(note);
  const release = info?.release ?? sources.release ?? "";
  const { table, text } = liveSymbols(sources, memory, info);
  const levels = levelsOf(memory, table, info);
  const offset = directMapOf(memory, table, levels);
  const virtual = (address: bigint): bigint => offset + address;
  const openTypes = (): Btf => {
    const bytes = sources.btf();
    return bytes === undefined ? imageTypes(memory, table) : new Btf(bytes, null, "sys/kernel/btf/vmlinux");
  };
  const tables = livePages(core, memory, table, info, levels);
  return kernelOf(
    release,
    memory,
    table,
    openTypes,
    { physical: (address) => tables?.physical(address), virtual },
    { ...(text === undefined ? {} : { symbols: text }), moduleBtf: sources.moduleBtf },
  );
}

interface LiveSymbols {
  readonly table: SymbolTable;
  /** What /proc/kallsyms says, if it was read. */
  readonly text?: KallsymsText;
}

function liveSymbols(
  sources: LiveKernelSources,
  memory: AddressSpace,
  info: Vmcoreinfo | undefined,
): LiveSymbols {
  if (info?.symbol("kallsyms_names") !== undefined) return { table: readKallsyms(memory, info) };
  const bytes = sources.kallsyms();
  if (bytes === undefined) {
    throw new InputError(
      `${memory.name}: expected /proc/kallsyms beside it: a kernel before 6.0 says only there where its symbols are`,
    );
  }
  const text = new KallsymsText(bytes);
  return { table: text, text };
}

/** Page tables, by which addresses outside the direct map are found in RAM; undefined when they cannot be read. */
function livePages(
  core: ElfCore,
  memory: AddressSpace,
  table: SymbolTable,
  info: Vmcoreinfo | undefined,
  levels: 4 | 5,
): PagedMemory | undefined {
  const top = table.address("init_top_pgt") ?? table.address("swapper_pg_dir");
  const base = info?.number("phys_base") ?? valueOf(memory, table, "phys_base");
  if (top === undefined || base === undefined) return undefined;
  return new PagedMemory(elfPhysicalMemory(core), {
    base: BigInt.asUintN(64, top - imageMap + base),
    levels,
    encryption: BigInt.asUintN(64, info?.number("sme_mask") ?? valueOf(memory, table, "sme_me_mask") ?? 0n),
  });
}

/** 64 bits at a symbol; undefined when there is none, or it is not there. */
function valueOf(memory: AddressSpace, table: SymbolTable, name: string): bigint | undefined {
  const address = table.address(name);
  if (address === undefined) return undefined;
  try {
    return qword(memory.read(address, 8), 0);
  } catch (error) {
    if (error instanceof UnreadableMemory) return undefined;
    throw error;
  }
}

function levelsOf(memory: AddressSpace, table: SymbolTable, info: Vmcoreinfo | undefined): 4 | 5 {
  const said = info?.number("pgtable_l5_enabled");
  if (said !== undefined) return said === 1n ? 5 : 4;
  const flag = table.address("__pgtable_l5_enabled");
  return flag !== undefined && dword(memory.read(flag, 4), 0) === 1 ? 5 : 4;
}
