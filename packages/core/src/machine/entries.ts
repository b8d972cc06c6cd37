import type { Memory } from "../hardware/memory.ts";
import * as dteWords from "../spec/accessors/amdvi-dte.ts";
import * as amdData from "../spec/accessors/msi-amd-data.ts";
import * as remappable from "../spec/accessors/msi-remappable-address.ts";
import { IntCtl, dte, dteBytes } from "../spec/amdvi/dte.ts";
import { irte32, irteGuest, irteRemapped128 } from "../spec/amdvi/irte.ts";
import { control, deviceTableBase, registers as amdRegisters } from "../spec/amdvi/registers.ts";
import { decode } from "../spec/codec.ts";
import { printRequester } from "../spec/requester.ts";
import { irteBytes, irtePosted, irteRemapped } from "../spec/vtd/irte.ts";
import { globalStatus, registers as vtdRegisters, tableAddress } from "../spec/vtd/registers.ts";
import { ActionError } from "./action-error.ts";
import type { Device } from "./device.ts";
import type { Hardware } from "./hardware.ts";

/** A device's entry for one of its vectors, as it lies in memory. */
export interface TableEntry {
  /** Physical address. */
  readonly address: number;
  readonly present: boolean;
  readonly posted: boolean;
  /** What it is posted to: a descriptor, or a backing page; 0 where it is not. */
  readonly target: number;
  /** The vector that comes out, of the host or of the guest. */
  readonly vector: number;
  /** The destination of a remapped entry, as its bits are. */
  readonly destination: number;
}

/** Every entry that a device's messages name, found as the unit finds it: by its registers and by memory. */
export function entriesOf({ memory, vtd, amdvi }: Hardware, { pci, fn }: Device): TableEntry[] {
  const messages = (pci.msi?.descriptors ?? []).flatMap(({ message, used }) =>
    Array.from({ length: used }, (_, vector) => ({ ...message, data: message.data + vector })),
  );
  if (vtd !== undefined) {
    const { irta } = decode(tableAddress, vtd.read(vtdRegisters.IRTA.offset, 64));
    return messages
      .filter(({ addressLow }) => remappable.format(addressLow) === 1)
      .map(({ addressLow, data }) => {
        const index = remappable.handle(addressLow) + remappable.shv(addressLow) * (data & 0xffff);
        return vtdEntry(memory, Number(irta) + irteBytes * index);
      });
  }
  const on = decode(control, amdvi!.read(amdRegisters.CONTROL.offset, 64));
  if (on.iommuen === 0) return [];
  const { base } = decode(deviceTableBase, amdvi!.read(amdRegisters.DEV_TAB_BASE.offset, 64));
  const device = decode(dte, wide(memory, Number(base) + dteBytes * fn.requester, dteBytes / 8));
  const width = on.gaen === 1 ? 16 : 4;
  return messages.map(({ data }) =>
    amdEntry(memory, Number(device.inttableptr) + width * amdData.index(data), width),
  );
}

/** An entry through which an interrupt can pass, whoever has it. */
export interface PresentEntry {
  readonly address: number;
  /** Whose interrupts it lets through, as far as it says. */
  readonly requester: string;
}

/** Every present entry of every table that the unit looks at. */
export function presentEntries({ memory, vtd, amdvi }: Hardware): PresentEntry[] {
  if (vtd !== undefined) {
    if (decode(globalStatus, vtd.read(vtdRegisters.GSTS.offset, 32)).irtps === 0) return [];
    const { irta, s } = decode(tableAddress, vtd.read(vtdRegisters.IRTA.offset, 64));
    return addresses(Number(irta), irteBytes, 2 ** (Number(s) + 1))
      .filter((address) => isPresent(memory, address))
      .map((address) => ({ address, requester: sourceOf(memory, address) }));
  }
  const on = decode(control, amdvi!.read(amdRegisters.CONTROL.offset, 64));
  if (on.iommuen === 0) return [];
  const { base, size } = decode(deviceTableBase, amdvi!.read(amdRegisters.DEV_TAB_BASE.offset, 64));
  const devices = ((Number(size) + 1) * 4096) / dteBytes;
  const words = new Int32Array(dteWords.WORDS);
  return addresses(Number(base), dteBytes, devices).flatMap((at, requester) => {
    memory.readWords(at, words);
    if (dteWords.intctl(words, 0) !== IntCtl.remap) return [];
    const device = decode(dte, wide(memory, at, dteBytes / 8));
    return addresses(Number(device.inttableptr), on.gaen === 1 ? 16 : 4, 2 ** Number(device.inttablen))
      .filter((address) => isPresent(memory, address))
      .map((address) => ({ address, requester: printRequester(requester) }));
  });
}

function addresses(base: number, bytes: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => base + i * bytes);
}

/** P, and AMD's RemapEn. */
function isPresent(memory: Memory, address: number): boolean {
  return (memory.read32(address) & 1) === 1;
}

function sourceOf(memory: Memory, address: number): string {
  const { sid, svt } = decode(irtePosted, wide(memory, address, 2));
  return svt === 0 ? "anybody" : printRequester(Number(sid));
}

/**
 * Where a vector's entry lies, or what it is posted to.
 * @throws ActionError when it has no entry, or is not posted.
 */
export function addressOf(
  hardware: Hardware,
  device: Device,
  vector: number,
  of: "irte" | "descriptor",
): number {
  const entry = entriesOf(hardware, device)[vector];
  if (entry === undefined) throw new ActionError(`vector ${vector} of ${device.name} has no entry`);
  if (of === "irte") return entry.address;
  if (!entry.posted) throw new ActionError(`vector ${vector} of ${device.name} is not posted`);
  return entry.target;
}

function vtdEntry(memory: Memory, address: number): TableEntry {
  const value = wide(memory, address, 2);
  const { p, im, pda, vv } = decode(irtePosted, value);
  const posted = p === 1 && im === 1;
  const destination = Number(decode(irteRemapped, value).dst);
  return {
    address,
    present: p === 1,
    posted,
    target: posted ? Number(pda) : 0,
    vector: Number(vv),
    destination: posted ? 0 : destination,
  };
}

function amdEntry(memory: Memory, address: number, width: 4 | 16): TableEntry {
  const value = width === 16 ? wide(memory, address, 2) : BigInt(memory.read32(address) >>> 0);
  const { remapen, guestmode, vector, dest } = decode(width === 16 ? irteRemapped128 : irte32, value);
  const posted = remapen === 1 && guestmode === 1;
  return {
    address,
    present: remapen === 1,
    posted,
    target: posted ? Number(decode(irteGuest, value).root) : 0,
    vector: Number(vector),
    destination: posted ? 0 : Number(dest),
  };
}

function wide(memory: Memory, address: number, quadwords: number): bigint {
  let value = 0n;
  for (let i = quadwords - 1; i >= 0; i--) value = (value << 64n) | memory.read64(address + 8 * i);
  return value;
}
