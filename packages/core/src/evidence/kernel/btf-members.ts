import { InputError } from "../input-error.ts";
import { type BtfType, type BtfTypes, isComposite, btfKind as kind } from "./btf-type.ts";
import type { KernelMember, KernelType } from "./kernel.ts";
import { dword } from "./words.ts";

/** A member, and the id of its type behind typedefs and qualifiers. */
interface Found {
  readonly member: KernelMember;
  readonly type: number;
}

const memberLimit = 1 << 16;
const depthLimit = 32;
const pointerBytes = 8;
const memberBytes = 12;

/** A structure or union: its members, those of its anonymous members among them. */
export class BtfMembers implements KernelType {
  readonly name: string;
  readonly size: number;
  readonly #btf: BtfTypes;
  readonly #id: number;
  readonly #paths = new Map<string, KernelMember | undefined>();
  #members: ReadonlyMap<string, Found> | undefined;

  constructor(btf: BtfTypes, id: number, name: string) {
    this.name = name;
    this.size = btf.at(id).sizeOrType;
    this.#btf = btf;
    this.#id = id;
  }

  member(name: string): KernelMember | undefined {
    if (!this.#paths.has(name)) this.#paths.set(name, this.#follow(name));
    return this.#paths.get(name);
  }

  #follow(path: string): KernelMember | undefined {
    const [first, ...rest] = path.split(".");
    let found = this.#own(first!);
    let bitOffset = 0;
    for (const name of rest) {
      if (found === undefined || !isComposite(this.#btf.at(found.type))) return undefined;
      bitOffset += found.member.bitOffset;
      const holder = this.#btf.composite(found.type, found.member.type ?? `${this.name}.${path}`);
      found = holder instanceof BtfMembers ? holder.#own(name) : undefined;
    }
    return found && { ...found.member, bitOffset: found.member.bitOffset + bitOffset };
  }

  #own(name: string): Found | undefined {
    if (this.#members === undefined) {
      const members = new Map<string, Found>();
      collect(this.#btf, this.#id, 0, 0, members, { left: memberLimit });
      this.#members = members;
    }
    return this.#members.get(name);
  }
}

/** Adds the members of a structure, and of the anonymous ones in it. */
function collect(
  btf: BtfTypes,
  id: number,
  base: number,
  depth: number,
  members: Map<string, Found>,
  budget: { left: number },
): void {
  const { at, parts, flag, bytes } = btf.at(id);
  budget.left -= parts;
  if (depth > depthLimit || budget.left < 0) {
    throw new InputError(
      `${btf.name}: type ${id}: expected at most ${memberLimit} members, nested ${depthLimit} deep`,
    );
  }
  for (let i = 0; i < parts; i++) {
    const place = at + i * memberBytes;
    const name = btf.string(dword(bytes, place));
    const type = btf.resolve(dword(bytes, place + 4));
    const offset = dword(bytes, place + 8);
    const bitOffset = base + (flag ? offset & 0xff_ffff : offset);
    if (name === "") {
      if (isComposite(btf.at(type))) collect(btf, type, bitOffset, depth + 1, members, budget);
    } else if (!members.has(name)) {
      const member = memberOf(btf, dword(bytes, place + 4), bitOffset, flag ? offset >>> 24 : 0);
      members.set(name, { member, type });
    }
  }
}

function memberOf(btf: BtfTypes, id: number, bitOffset: number, bitWidth: number): KernelMember {
  let target = targetOf(btf, id);
  let count = 1;
  for (let depth = 0; target.type.kind === kind.array; depth++) {
    if (depth > depthLimit)
      throw new InputError(`${btf.name}: type ${id}: expected an array of few dimensions`);
    count *= dword(target.type.bytes, target.type.at + 8);
    target = targetOf(btf, dword(target.type.bytes, target.type.at));
  }
  const { type } = target;
  if (type.kind === kind.int && bitWidth === 0) {
    // The older form of a bit field: an integer of fewer bits than its bytes hold, at an offset of its own.
    const encoding = dword(type.bytes, type.at);
    const bits = encoding & 0xff;
    if (bits !== 0 && bits !== type.sizeOrType * 8) {
      bitWidth = bits;
      bitOffset += (encoding >>> 16) & 0xff;
    }
  }
  const pointer = type.kind === kind.pointer;
  return {
    bitOffset,
    bitWidth,
    size: sizeOf(type) * count,
    type: nameOf(pointer ? targetOf(btf, type.sizeOrType) : target),
    count,
    pointer,
  };
}

interface Target {
  readonly type: BtfType;
  /** The innermost typedef on the way to it. */
  readonly alias: string | null;
}

/** What is behind typedefs and qualifiers. */
function targetOf(btf: BtfTypes, id: number): Target {
  const end = btf.resolve(id);
  let alias: string | null = null;
  while (id !== end) {
    const type = btf.at(id);
    if (type.kind === kind.typedef) alias = type.name;
    id = type.sizeOrType;
  }
  return { type: btf.at(end), alias };
}

function nameOf({ type, alias }: Target): string | null {
  if (!isComposite(type) && type.kind !== kind.forward) return null;
  return type.name === "" ? alias : type.name;
}

function sizeOf(type: BtfType): number {
  switch (type.kind) {
    case kind.pointer:
      return pointerBytes;
    case kind.int:
    case kind.struct:
    case kind.union:
    case kind.enum:
    case kind.float:
    case kind.enum64:
      return type.sizeOrType;
    default:
      return 0;
  }
}
