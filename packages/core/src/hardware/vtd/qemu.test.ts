import { describe, expect, test } from "vitest";
import { RecordingFabric } from "../recording-fabric.ts";
import { Memory } from "../memory.ts";
import { enableRemapping } from "./bring-up.ts";
import { vtdQemu100, vtdQemu111, vtdQemu72 } from "./profile.ts";
import { VtdUnit } from "./unit.ts";

const table = 0x100_0000;
const sid = 0x18n;
const verified = sid | (1n << 18n);
const remap = (index: number, shv = 0): number => 0xfee0_0010 | ((index & 0x7fff) << 5) | (shv << 3) | 0;

/**
 * What a function at 00:03.0 got from running QEMUs, one request after another: entry 6, the message, then FSTS and the
 * one fault record as they read afterwards (10.0.2 and 11.1.3; 7.2.22 delivered the same and recorded nothing).
 */
const seen = [
  {
    name: "not present",
    low: 0n,
    high: verified,
    address: remap(6),
    data: 0,
    fsts: 2n,
    frcd: [0x6_0000_0000_0000n, 0x8000_0022_0000_0018n],
  },
  {
    name: "source-id mismatch",
    low: 0x56_0001n,
    high: 0x999n | (1n << 18n),
    address: remap(6),
    data: 0,
    fsts: 2n,
    frcd: [0x6_0000_0000_0000n, 0x8000_0026_0000_0018n],
  },
  {
    name: "index out of bounds",
    low: 0n,
    high: 0n,
    address: remap(0x7000),
    data: 0,
    fsts: 2n,
    frcd: [0x7000_0000_0000_0000n, 0x8000_0021_0000_0018n],
  },
  {
    name: "reserved bits",
    low: 0x156_0001n,
    high: verified,
    address: remap(6),
    data: 0,
    fsts: 2n,
    frcd: [0x6_0000_0000_0000n, 0x8000_0024_0000_0018n],
  },
  {
    name: "not present with FPD",
    low: 2n,
    high: verified,
    address: remap(6),
    data: 0,
    fsts: 0n,
    frcd: [0x6_0000_0000_0000n, 0x24_0000_0018n],
  },
  {
    name: "compatibility format",
    low: 0n,
    high: 0n,
    address: 0xfee0_0000 | 0,
    data: 0x57,
    fsts: 0n,
    frcd: [0x6_0000_0000_0000n, 0x24_0000_0018n],
    vector: 0x57,
  },
  {
    name: "handle and subhandle",
    low: 0x58_0001n,
    high: verified,
    address: remap(5, 1),
    data: 1,
    fsts: 0n,
    frcd: [0x6_0000_0000_0000n, 0x24_0000_0018n],
    vector: 0x58,
  },
  {
    name: "SQ that ignores the function",
    low: 0x59_0001n,
    high: sid | 7n | (3n << 16n) | (1n << 18n),
    address: remap(6),
    data: 0,
    fsts: 0n,
    frcd: [0x6_0000_0000_0000n, 0x24_0000_0018n],
    vector: 0x59,
  },
  {
    name: "bus range 0 to 5",
    low: 0x5b_0001n,
    high: 5n | (2n << 18n),
    address: remap(6),
    data: 0,
    fsts: 2n,
    frcd: [0x6_0000_0000_0000n, 0x8000_0026_0000_0018n],
  },
  {
    name: "posted format",
    low: 0x5c_8001n,
    high: verified,
    address: remap(6),
    data: 0,
    fsts: 0n,
    frcd: [0x6_0000_0000_0000n, 0x26_0000_0018n],
    vector: 0x5c,
  },
] as const;

describe.each([
  { profile: vtdQemu72, records: false },
  { profile: vtdQemu100, records: true },
  { profile: vtdQemu111, records: true },
])("under $profile.name", ({ profile, records }) => {
  test("requests end as they did in that QEMU, one after another", () => {
    const memory = new Memory();
    const fabric = new RecordingFabric();
    const unit = new VtdUnit({ memory, fabric, profile });
    enableRemapping(unit, { base: table, size: 7 });
    for (const { name, low, high, address, data, fsts, frcd, ...rest } of seen) {
      memory.write64(table + 96, low);
      memory.write64(table + 104, high);
      fabric.deliveries.length = 0;
      fabric.messages.length = 0;
      unit.interrupt(address, data, 0x18);
      const vectors = [
        ...fabric.deliveries.map(({ vector }) => vector),
        ...fabric.messages.map((message) => message.data),
      ];
      expect([name, vectors]).toEqual([name, "vector" in rest ? [rest.vector] : []]);
      expect([name, unit.read(0x34, 32)]).toEqual([name, records ? fsts : 0n]);
      expect([name, unit.read(0x220, 64), unit.read(0x228, 64)]).toEqual([
        name,
        ...(records ? frcd : [0n, 0n]),
      ]);
      unit.write(0x22c, 32, 0x8000_0000n);
    }
  });
});
