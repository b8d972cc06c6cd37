import { decode } from "../../spec/codec.ts";
import {
  faultRecord,
  capability as capabilityLayout,
  registers as vtdRegisters,
} from "../../spec/vtd/registers.ts";
import { dteBytes } from "../../spec/amdvi/dte.ts";
import { littleEndian } from "../byte-source.ts";

/** The entries of a table that are not zero, by index. */
export function entriesOf(bytes: Uint8Array, entryBytes: number): Map<number, bigint> {
  const entries = new Map<number, bigint>();
  const count = Math.floor(bytes.length / entryBytes);
  for (let index = 0; index < count; index++) {
    const at = index * entryBytes;
    if (isZero(bytes, at, at + entryBytes)) continue;
    entries.set(index, littleEndian(bytes.subarray(at, at + entryBytes)));
  }
  return entries;
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}

/** Device table entries with V or IV, by device id. */
export function deviceEntriesOf(bytes: Uint8Array): Map<number, bigint> {
  const valid = 1n | (1n << 128n);
  const entries = entriesOf(bytes.subarray(0, 0x1_0000 * dteBytes), dteBytes);
  for (const [id, entry] of entries) if ((entry & valid) === 0n) entries.delete(id);
  return entries;
}

/** Registers of a VT-d unit in a copy of its register space, by name; `FRCD0` and on are the fault records, 128 bits each. */
export function vtdRegistersOf(bytes: Uint8Array): Map<string, bigint> {
  const values = new Map<string, bigint>();
  for (const [name, { offset, width, access }] of Object.entries(vtdRegisters)) {
    const end = offset + width / 8;
    if (access !== "WO" && end <= bytes.length) values.set(name, littleEndian(bytes.subarray(offset, end)));
  }
  const { fro, nfr } = decode(capabilityLayout, values.get("CAP") ?? 0n);
  const size = faultRecord.width / 8;
  for (let i = 0; values.has("CAP") && i <= Number(nfr); i++) {
    const at = 16 * Number(fro) + i * size;
    if (at + size > bytes.length) break;
    values.set(`FRCD${i}`, littleEndian(bytes.subarray(at, at + size)));
  }
  return values;
}
