// Records what the walk of a kernel reads of a core: bytes, symbols, members of structures. The walk's tests run on it
// as they would on the core.
//
//   tsx --conditions=intremap-src tools/record-kernel.ts CORE packages/core/src/evidence/fixtures/kernel-NAME.br
import { fstatSync, openSync, readSync, writeFileSync } from "node:fs";
import { brotliCompressSync } from "node:zlib";
import { HostDraft } from "../packages/core/src/evidence/host/draft.ts";
import { InputError } from "../packages/core/src/evidence/input-error.ts";
import { elfPhysicalMemory, readElfCore } from "../packages/core/src/evidence/kernel/elf-core.ts";
import type { Kernel, KernelType } from "../packages/core/src/evidence/kernel/kernel.ts";
import type { AddressSpace } from "../packages/core/src/evidence/kernel/memory.ts";
import { openCoreKernel } from "../packages/core/src/evidence/kernel/open-kernel.ts";
import { walkKernel } from "../packages/core/src/evidence/kernel/walk.ts";

const [path, output] = process.argv.slice(2);
const fd = openSync(path!, "r");
const kernel = openCoreKernel(
  elfPhysicalMemory(
    readElfCore({
      name: "core",
      size: fstatSync(fd).size,
      read(offset, length) {
        const bytes = new Uint8Array(length);
        const got = readSync(fd, bytes, 0, length, BigInt(offset) as unknown as number);
        if (got !== length) throw new InputError(`core: expected ${length} bytes at ${offset}`);
        return bytes;
      },
    }),
  ),
);

const symbols: Record<string, string | null> = {};
const types: Record<string, { size: number; members: Record<string, string | null> } | null> = {};
const enumerators: Record<string, number | null> = {};
const physical: Record<string, string> = {};
const read = { memory: new Map<bigint, Uint8Array>(), ram: new Map<bigint, Uint8Array>() };

/** Whole pages are refused at first: the walk keeps pages, and asks then for what it needs of one. */
function recorded(space: AddressSpace, found: Map<bigint, Uint8Array>): AddressSpace {
  const refused = new Set<bigint>();
  return {
    name: space.name,
    read(address, length) {
      if (length === 4096 && (address & 0xfffn) === 0n && !refused.has(address)) {
        refused.add(address);
        throw new InputError("refused");
      }
      const bytes = space.read(address, length);
      for (let at = 0; at < length; at += 8) found.set(address + BigInt(at), bytes.subarray(at, at + 8));
      return bytes;
    },
  };
}

function recordedType(name: string, type: KernelType): KernelType {
  const members: Record<string, string | null> = types[name]?.members ?? {};
  types[name] = { size: type.size, members };
  return {
    name: type.name,
    size: type.size,
    member(path) {
      const member = type.member(path);
      if (member === undefined) members[path] = null;
      else {
        const { bitOffset, bitWidth, size, type: of, count, pointer } = member;
        members[path] = [bitOffset, bitWidth, size, count, of ?? "-", pointer ? "pointer" : "value"].join(
          " ",
        );
      }
      return member;
    },
  };
}

const recording: Kernel = {
  release: kernel.release,
  memory: recorded(kernel.memory, read.memory),
  ...(kernel.ram === undefined ? {} : { ram: recorded(kernel.ram, read.ram) }),
  symbols: {
    address(name) {
      const address = kernel.symbols.address(name);
      symbols[name] = address === undefined ? null : address.toString(16);
      return address;
    },
  },
  types: {
    type(name) {
      const type = kernel.types.type(name);
      if (type === undefined) types[name] = null;
      return type && recordedType(name, type);
    },
    enumerator(name) {
      const value = kernel.types.enumerator(name);
      enumerators[name] = value ?? null;
      return value;
    },
  },
  physical(virtual) {
    const address = kernel.physical(virtual);
    if (address !== undefined) physical[virtual.toString(16)] = address.toString(16);
    return address;
  },
  virtual: (address) => kernel.virtual(address),
};
const draft = new HostDraft("core");
walkKernel(recording, draft);

const parts: Uint8Array[] = [];
const ranges = Object.fromEntries(Object.entries(read).map(([name, words]) => [name, rangesOf(words)]));
const header = JSON.stringify({
  release: kernel.release,
  directMap: kernel.virtual(0n).toString(16),
  symbols,
  types,
  enumerators,
  physical,
  ranges,
});
const head = new TextEncoder().encode(`${header}\n`);
writeFileSync(output!, brotliCompressSync(Buffer.concat([head, ...parts])));
for (const { what, why } of draft.missing) process.stderr.write(`missing: ${what}: ${why}\n`);

/** Where the ranges begin and how long they are; their bytes go to `parts`. */
function rangesOf(words: ReadonlyMap<bigint, Uint8Array>): [start: string, length: number][] {
  const found: [string, number][] = [];
  let end = -1n;
  for (const address of [...words.keys()].sort((a, b) => (a < b ? -1 : 1))) {
    const bytes = words.get(address)!;
    // Reads overlap where structures lie at other than multiples of eight bytes.
    const from = address < end ? end : address;
    const rest = address + BigInt(bytes.length) - from;
    if (rest <= 0n) continue;
    if (from === end) found.at(-1)![1] += Number(rest);
    else found.push([from.toString(16), Number(rest)]);
    parts.push(bytes.subarray(bytes.length - Number(rest)));
    end = from + rest;
  }
  return found;
}
