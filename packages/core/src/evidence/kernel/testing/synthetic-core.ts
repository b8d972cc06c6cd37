import { latin1, SparseMemory } from "./sparse-memory.ts";

/** How addresses are written in kallsyms: until 6.14, without per-CPU symbols at 0, since 7.0. */
export type KallsymsEncoding = "absolute-percpu" | "relative" | "place";

export interface SyntheticCoreOptions {
  readonly release?: string;
  readonly encoding?: KallsymsEncoding;
  readonly levels?: 4 | 5;
  /** Where the image lies in RAM, and where it is mapped: multiples of 2 MiB. */
  readonly imagePhysical?: bigint;
  readonly imageVirtual?: bigint;
  readonly directMap?: bigint;
  /** AMD's memory encryption bit, as a mask. */
  readonly encryption?: bigint;
  /** The note as a kernel has it in RAM; else the dump says it by itself. */
  readonly inRam?: boolean;
  /** Keys that VMCOREINFO lacks. */
  readonly without?: readonly string[];
  readonly symbols?: Readonly<Record<string, bigint>>;
  readonly btf?: Uint8Array;
}

const imageBytes = 0x40_0000n;
const imageMap = 0xffff_ffff_8000_0000n;

/** A dump of a small kernel: page tables, VMCOREINFO, kallsyms and BTF, each where a real one has it. */
export class SyntheticCore {
  readonly memory: SparseMemory = new SparseMemory();
  readonly imageVirtual: bigint;
  readonly directMap: bigint;
  readonly #imagePhysical: bigint;

  constructor(options: SyntheticCoreOptions = {}) {
    const {
      release = "6.1.0-test",
      encoding = "absolute-percpu",
      levels = 4,
      imagePhysical = 0x100_0000n,
      imageVirtual = 0xffff_ffff_9000_0000n,
      directMap = levels === 4 ? 0xffff_9000_0000_0000n : 0xff20_0000_0000_0000n,
      encryption = 0n,
      btf = new Uint8Array(0),
    } = options;
    this.imageVirtual = imageVirtual;
    this.directMap = directMap;
    this.#imagePhysical = imagePhysical;
    const at = (offset: bigint): bigint => imageVirtual + offset;
    const symbols: Record<string, bigint> = {
      _stext: at(0n),
      init_top_pgt: at(0x1000n),
      init_uts_ns: at(0x2000n),
      page_offset_base: at(0x3000n),
      __start_BTF: at(0x10_0000n),
      __stop_BTF: at(0x10_0000n + BigInt(btf.length)),
      cpu_number: 0x1_5000n,
      ...options.symbols,
    };
    this.put(at(0x2000n + 130n), latin1(`${release}\0`));
    this.put(at(0x3000n), quad(directMap));
    this.put(at(0x10_0000n), btf);
    this.#map(levels, encryption);
    const places = this.#kallsyms(symbols, encoding);
    const lines = [
      `OSRELEASE=${release}`,
      "PAGESIZE=4096",
      "OFFSET(uts_namespace.name)=0",
      ...["_stext", "init_top_pgt", "init_uts_ns"].map(
        (name) => `SYMBOL(${name})=${symbols[name]!.toString(16)}`,
      ),
      ...Object.entries(places).map(([name, place]) => `SYMBOL(${name})=${place.toString(16)}`),
      `NUMBER(phys_base)=${imagePhysical - (imageVirtual - imageMap)}`,
      `NUMBER(pgtable_l5_enabled)=${levels === 5 ? 1 : 0}`,
      `NUMBER(sme_mask)=${encryption}`,
      `KERNELOFFSET=${(imageVirtual - imageMap - 0x100_0000n).toString(16)}`,
    ].filter((line) => !options.without?.some((key) => line.startsWith(`${key}=`)));
    const text = latin1(`${lines.join("\n")}\n`);
    if (options.inRam === true) this.note(0x9000n, text);
    else this.memory.vmcoreinfo = text;
  }

  /** Writes into the image, by its virtual address. */
  put(virtual: bigint, bytes: Uint8Array): void {
    this.memory.write(this.#imagePhysical + (virtual - this.imageVirtual), bytes);
  }

  /** Writes a VMCOREINFO note into RAM. */
  note(physical: bigint, text: Uint8Array, size: number = text.length): void {
    this.memory.put(physical, 11, 4);
    this.memory.put(physical + 4n, size, 4);
    this.memory.text(physical + 12n, "VMCOREINFO");
    this.memory.write(physical + 24n, text);
  }

  #map(levels: 4 | 5, encryption: bigint): void {
    let top = this.#imagePhysical + 0x1000n;
    if (levels === 5) {
      const next = 0x8000n;
      this.memory.write(next, new Uint8Array(4096));
      for (const address of [this.imageVirtual, this.directMap]) {
        this.memory.put(top + index(address, 48n), next | encryption | 3n);
      }
      top = next;
    }
    // Tables of the image with pages of 2 MiB, and of the first GiB of RAM as one page.
    const [imageTable, imagePages, ramTable] = [0x5000n, 0x6000n, 0x7000n];
    this.memory.put(top + index(this.imageVirtual, 39n), imageTable | encryption | 3n);
    this.memory.put(imageTable + index(this.imageVirtual, 30n), imagePages | encryption | 3n);
    for (let at = 0n; at < imageBytes; at += 0x20_0000n) {
      const page = (this.#imagePhysical + at) | encryption | 0x83n;
      this.memory.put(imagePages + index(this.imageVirtual + at, 21n), page);
    }
    this.memory.put(top + index(this.directMap, 39n), ramTable | encryption | 3n);
    this.memory.put(ramTable + index(this.directMap, 30n), encryption | 0x83n);
  }

  #kallsyms(symbols: Readonly<Record<string, bigint>>, encoding: KallsymsEncoding): Record<string, bigint> {
    const at = (offset: bigint): bigint => this.imageVirtual + offset;
    const places: Record<string, bigint> = {
      kallsyms_names: at(0x20_0000n),
      kallsyms_num_syms: at(0x20_8000n),
      kallsyms_token_table: at(0x21_0000n),
      kallsyms_token_index: at(0x21_8000n),
      kallsyms_offsets: at(0x22_0000n),
    };
    const base = at(0n);
    if (encoding !== "place") {
      places.kallsyms_relative_base = at(0x22_8000n);
      this.put(places.kallsyms_relative_base, quad(base));
    }
    // Each character is its own token, but for `__`, which is token 0.
    const tokens = Array.from({ length: 256 }, (_, i) => (i === 0 ? "__" : String.fromCharCode(i)));
    let table = "";
    const index = tokens.flatMap((token) => {
      const start = table.length;
      table += `${token}\0`;
      return [start & 0xff, start >> 8];
    });
    this.put(places.kallsyms_token_table!, latin1(table));
    this.put(places.kallsyms_token_index!, Uint8Array.from(index));
    const names: number[] = [];
    const entries = Object.entries(symbols);
    for (const [i, [name, address]] of entries.entries()) {
      const indices = [...latin1(`D${name}`.replace("__", "\0"))];
      names.push(
        ...(indices.length < 0x80 ? [indices.length] : [0x80 | (indices.length & 0x7f), indices.length >> 7]),
      );
      names.push(...indices);
      const place = places.kallsyms_offsets! + BigInt(i * 4);
      const relative = encoding === "relative" ? address - base : address - place;
      const absolute = address < 0x1000_0000n ? address : base - 1n - address;
      this.put(place, quad(encoding === "absolute-percpu" ? absolute : relative).subarray(0, 4));
    }
    this.put(places.kallsyms_names!, Uint8Array.from(names));
    this.put(places.kallsyms_num_syms!, quad(BigInt(entries.length)).subarray(0, 4));
    return places;
  }
}

function quad(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 8 }, (_, i) =>
    Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 0xffn),
  );
}

/** Where in a table the entry for an address is. */
function index(address: bigint, shift: bigint): bigint {
  return ((address >> shift) & 0x1ffn) * 8n;
}
