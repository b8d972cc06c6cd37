import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Guest } from "./guest.ts";

/** An entry as it stands in a guest's memory: read through QEMU's monitor and taken apart by hand. */
export interface OutsideEntry {
  /** AMD-Vi: whose table; null for VT-d. */
  readonly device: number | null;
  readonly index: number;
  readonly vector: number;
  readonly destination: number;
  readonly logical: boolean;
}

/** Every present entry of a guest's table, as VT-d's registers tell where it is. */
export async function vtdEntries(guest: Guest, folder: string): Promise<OutsideEntry[]> {
  const irta = await quad(guest, 0xfed9_00b8n);
  const extended = (irta & 0x800n) !== 0n;
  const bytes = await memory(guest, irta & ~0xfffn, 16 << (Number(irta & 15n) + 1), folder);
  const entries: OutsideEntry[] = [];
  for (let index = 0; index * 16 < bytes.length; index++) {
    const low = bytes.readBigUInt64LE(index * 16);
    if ((low & 1n) === 0n) continue;
    const destination = Number(low >> 32n);
    entries.push({
      device: null,
      index,
      vector: Number(low >> 16n) & 0xff,
      destination: extended ? destination : (destination >> 8) & 0xff,
      logical: (low & 4n) !== 0n,
    });
  }
  return entries;
}

/** Every valid entry of the tables of a guest's devices, as AMD-Vi's device table tells where they are; 128 bits each. */
export async function amdviEntries(guest: Guest, folder: string): Promise<OutsideEntry[]> {
  const register = await quad(guest, 0xfed8_0000n);
  const address = 0xf_ffff_ffff_f000n;
  const devices = await memory(guest, register & address, (Number(register & 0x1ffn) + 1) * 4096, folder);
  const entries: OutsideEntry[] = [];
  const seen = new Set<bigint>();
  for (let device = 0; device * 32 < devices.length; device++) {
    const third = devices.readBigUInt64LE(device * 32 + 16);
    const remapped = (third & 1n) !== 0n && ((third >> 60n) & 3n) === 2n;
    if (!remapped) continue;
    const length = 1 << Number((third >> 1n) & 15n);
    const base = third & 0xf_ffff_ffff_ffc0n;
    // Aliases share a table.
    if (seen.has(base)) continue;
    seen.add(base);
    const table = await memory(guest, base, length * 16, folder);
    for (let index = 0; index < length; index++) {
      const low = table.readBigUInt64LE(index * 16);
      const high = table.readBigUInt64LE(index * 16 + 8);
      if ((low & 1n) === 0n) continue;
      entries.push({
        device,
        index,
        vector: Number(high & 0xffn),
        destination: Number(((low >> 8n) & 0xff_ffffn) | ((high >> 56n) << 24n)),
        logical: (low & 0x40n) !== 0n,
      });
    }
  }
  return entries;
}

async function quad(guest: Guest, address: bigint): Promise<bigint> {
  const text = await guest.monitor(`xp /1gx 0x${address.toString(16)}`);
  return BigInt(/: (0x[0-9a-f]+)/.exec(text)![1]!);
}

async function memory(guest: Guest, address: bigint, length: number, folder: string): Promise<Buffer> {
  const path = join(folder, "memory");
  await guest.monitor(`pmemsave 0x${address.toString(16)} ${length} "${path}"`);
  return readFileSync(path);
}
