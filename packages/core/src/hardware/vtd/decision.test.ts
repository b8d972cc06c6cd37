import { describe, expect, test } from "vitest";
import { encode, toWords } from "../../spec/codec.ts";
import { irtePosted, irteRemapped } from "../../spec/vtd/irte.ts";
import { capability, extendedCapability } from "../../spec/vtd/registers.ts";
import { CpuCache } from "../cpu-cache.ts";
import { Outcome, unknownRequester } from "../delivery.ts";
import { Memory } from "../memory.ts";
import { RecordingFabric } from "../recording-fabric.ts";
import { type RemappingTable, enableRemapping, invalidateEntries, setTable } from "./bring-up.ts";
import {
  type VtdProfile,
  vtdCachingMode,
  vtdLineCache,
  vtdNonCoherent,
  vtdQemu111,
  vtdQemu72,
  vtdStrict,
} from "./profile.ts";
import { VtdUnit } from "./unit.ts";

const base = 0x10_0000;
const descriptorAddress = 0x20_0040;
const device = 0x0018; // 00:03.0
const remappable = 0xfee0_0010 | 0;

function machine(profile: VtdProfile = vtdStrict, table: Partial<RemappingTable> = {}) {
  const memory = new Memory();
  const fabric = new RecordingFabric();
  const cpuCache = new CpuCache(memory);
  const unit = new VtdUnit({ memory, fabric, profile, ...(profile === vtdNonCoherent ? { cpuCache } : {}) });
  enableRemapping(unit, { base, size: 7, ...table });
  const put = (index: number, entry: bigint): void =>
    memory.writeWords(base + 16 * index, toWords(entry, 128));
  return { memory, fabric, cpuCache, unit, put };
}

const entry = {
  p: 1,
  v: 0x41,
  dst: 0x0300,
  svt: 1,
  sid: device,
} as const;

function remapped(values: Parameters<typeof encode<keyof typeof irteRemapped.fields>>[1] = {}): bigint {
  return encode(irteRemapped, { ...entry, ...values });
}

function posted(values: Parameters<typeof encode<keyof typeof irtePosted.fields>>[1] = {}): bigint {
  return encode(irtePosted, {
    p: 1,
    im: 1,
    vv: 0x41,
    pda: descriptorAddress,
    svt: 1,
    sid: device,
    ...values,
  });
}

/** The address of a remappable request with SHV=0 for an index. */
function handle(index: number, shv = 0): number {
  return remappable | ((index & 0x7fff) << 5) | ((index >> 15) << 2) | (shv << 3);
}

describe("an interrupt request", () => {
  test("is delivered with the attributes of its entry", () => {
    const { unit, fabric, put } = machine();
    put(5, remapped({ dm: 1, rh: 1, tm: 1, dlm: 1 }));
    expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.remapped);
    expect(fabric.deliveries).toEqual([
      { destination: 3, logical: 1, redirectionHint: 1, deliveryMode: 1, vector: 0x41, level: 1 },
    ]);
  });

  test("has a 32-bit destination in x2APIC mode", () => {
    const { unit, fabric, put } = machine(vtdStrict, { eime: true });
    put(5, remapped({ dst: 0xffff_fffe }));
    unit.interrupt(handle(5), 0, device);
    expect(fabric.deliveries[0]!.destination).toBe(0xffff_fffe);
  });

  test("adds a valid subhandle to its handle", () => {
    const { unit, fabric, put } = machine();
    put(8, remapped({ v: 0x48 }));
    unit.interrupt(handle(5, 1), 3, device);
    expect(fabric.deliveries[0]!.vector).toBe(0x48);
  });

  test("ignores its data when SHV is 0", () => {
    const { unit, put } = machine();
    put(5, remapped());
    expect(unit.interrupt(handle(5), -1, device)).toBe(Outcome.remapped);
  });

  test("passes unchanged while remapping is off", () => {
    const memory = new Memory();
    const fabric = new RecordingFabric();
    const unit = new VtdUnit({ memory, fabric, profile: vtdStrict });
    expect(unit.interrupt(0xfee0_100c | 0, 0x4030, device)).toBe(Outcome.passed);
    expect(fabric.messages).toEqual([{ address: 0xfee0_100cn, data: 0x4030 }]);
    expect(unit.fault).toBeUndefined();
  });
});

/** One broken rule each, in the order of the checks (VT-d 5.10 §5.1.4). */
const faults: {
  name: string;
  reason: number;
  qualified?: true;
  table?: Partial<RemappingTable>;
  prepare?: (one: ReturnType<typeof machine>) => void;
  entry?: Parameters<typeof remapped>[0];
  raw?: bigint;
  address?: number;
  data?: number;
  requester?: number;
}[] = [
  { name: "a compatibility-format request without CFI", reason: 0x25, address: 0xfee0_0000 | 0 },
  {
    name: "a compatibility-format request in x2APIC mode, CFI or not",
    reason: 0x25,
    address: 0xfee0_0000 | 0,
    table: { eime: true, compatibility: true },
  },
  { name: "data above a subhandle", reason: 0x20, address: handle(5, 1), data: 0x1_0000 },
  { name: "an index past the table", reason: 0x21, address: handle(256) },
  {
    name: "an index that a subhandle takes past the table",
    reason: 0x21,
    address: handle(5, 1),
    data: 0xffff,
  },
  {
    name: "a table that cannot be read",
    reason: 0x23,
    prepare: ({ memory }) => memory.injectError(base + 80, 16),
  },
  { name: "an entry that is not present", reason: 0x22, qualified: true, entry: { p: 0 } },
  { name: "a wrong source id", reason: 0x26, qualified: true, requester: 0x0019 },
  {
    name: "a bus before the range",
    reason: 0x26,
    qualified: true,
    entry: { svt: 2, sid: 0x0305 },
    requester: 0x02ff,
  },
  {
    name: "a bus behind the range",
    reason: 0x26,
    qualified: true,
    entry: { svt: 2, sid: 0x0305 },
    requester: 0x0600,
  },
  { name: "reserved bits in the low word", reason: 0x24, qualified: true, raw: 1n << 12n },
  { name: "reserved bits beside the source id", reason: 0x24, qualified: true, raw: 1n << 84n },
  { name: "reserved bits in the highest word", reason: 0x24, qualified: true, raw: 1n << 127n },
  { name: "a wide destination in xAPIC mode", reason: 0x24, qualified: true, entry: { dst: 0x1_0300 } },
  { name: "an SMI with a vector", reason: 0x24, qualified: true, entry: { dlm: 2 } },
  { name: "delivery mode 011b", reason: 0x24, qualified: true, entry: { dlm: 3 } },
  { name: "delivery mode 110b", reason: 0x24, qualified: true, entry: { dlm: 6 } },
  { name: "SVT=11b", reason: 0x24, qualified: true, entry: { svt: 3 } },
];

describe("a request is blocked for", () => {
  test.each(faults)(
    "$name with reason $reason",
    ({ reason, table, prepare, entry, raw, address, data, requester }) => {
      const one = machine(vtdStrict, table);
      one.put(5, remapped(entry) | (raw ?? 0n));
      prepare?.(one);
      expect(one.unit.interrupt(address ?? handle(5), data ?? 0, requester ?? device)).toBe(Outcome.blocked);
      expect(one.unit.fault).toMatchObject({ reason, recorded: true, requester: requester ?? device });
      expect(one.fabric.deliveries).toEqual([]);
    },
  );

  test.each(faults)("$name, and FPD keeps out of the log what it may", (fault) => {
    const one = machine(vtdStrict, fault.table);
    one.put(5, remapped({ ...fault.entry, fpd: 1 }) | (fault.raw ?? 0n));
    fault.prepare?.(one);
    one.unit.interrupt(fault.address ?? handle(5), fault.data ?? 0, fault.requester ?? device);
    expect(one.unit.fault).toMatchObject({ reason: fault.reason, recorded: fault.qualified !== true });
  });

  test("a malformed request is blocked whatever the table says", () => {
    const { unit } = machine();
    expect(unit.malformed(0xfee0_0010 | 0, device)).toBe(Outcome.blocked);
    expect(unit.fault).toMatchObject({
      name: "malformedRequest",
      reason: 0x29,
      rule: "vtd.ir.malformed-request",
    });
  });

  test("not having remapping on, where that is required", () => {
    const profile = {
      ...vtdStrict,
      extendedCapability: vtdStrict.extendedCapability | encode(extendedCapability, { irreq: 1 }),
    };
    const unit = new VtdUnit({ memory: new Memory(), fabric: new RecordingFabric(), profile });
    expect(unit.interrupt(0xfee0_0000 | 0, 0x30, device)).toBe(Outcome.blocked);
    expect(unit.fault?.reason).toBe(0x2b);
  });

  test("EIME=0, where x2APIC mode is required, before anything else is looked at", () => {
    const profile = {
      ...vtdStrict,
      extendedCapability: vtdStrict.extendedCapability | encode(extendedCapability, { eimer: 1 }),
    };
    const { unit } = machine(profile, { compatibility: true });
    for (const address of [handle(5), 0xfee0_0000 | 0]) {
      expect(unit.interrupt(address, 0, device)).toBe(Outcome.blocked);
      expect(unit.fault?.reason).toBe(0x2a);
    }
    const x2apic = machine(profile, { eime: true });
    x2apic.put(5, remapped());
    expect(x2apic.unit.interrupt(handle(5), 0, device)).toBe(Outcome.remapped);
  });
});

test("a compatibility-format request passes in xAPIC mode when CFI is on", () => {
  const { unit } = machine(vtdStrict, { compatibility: true });
  expect(unit.interrupt(0xfee0_0000 | 0, 0x30, device)).toBe(Outcome.passed);
});

test("a table above the host address width has no entries", () => {
  const memory = new Memory();
  const unit = new VtdUnit({
    memory,
    fabric: new RecordingFabric(),
    profile: { ...vtdStrict, hostAddressWidth: 32 },
  });
  enableRemapping(unit, { base: 2 ** 32, size: 7 });
  expect(unit.interrupt(handle(0), 0, device)).toBe(Outcome.blocked);
  expect(unit.fault).toMatchObject({ reason: 0x21, index: 0 });
});

test("a table that leaves its chunk of memory goes on in the next", () => {
  const high = 0x10_0000 + 0xf_f000;
  const { unit, memory } = machine(vtdStrict, { base: high, size: 15 });
  memory.writeWords(high + 16 * 300, toWords(remapped(), 128));
  expect(unit.interrupt(handle(300), 0, device)).toBe(Outcome.remapped);
});

describe("source-id verification", () => {
  const differing = [0, 1, 2, 4, 8, 0x100];
  const ignored = [0, 4, 6, 7];
  test.each(
    ignored.flatMap((mask, sq) =>
      differing.map((change) => ({ sq, change, passes: (change & ~mask) === 0 })),
    ),
  )("with SQ=$sq lets an id that differs in $change pass: $passes", ({ sq, change, passes }) => {
    const { unit, put } = machine();
    put(5, remapped({ sq, sid: 0x0508 }));
    expect(unit.interrupt(handle(5), 0, 0x0508 ^ change)).toBe(passes ? Outcome.remapped : Outcome.blocked);
  });

  test("is not made for SVT=0", () => {
    const { unit, put } = machine();
    put(5, remapped({ svt: 0 }));
    expect(unit.interrupt(handle(5), 0, 0xffff)).toBe(Outcome.remapped);
  });

  test("takes SID[15:8] as the first bus and SID[7:0] as the last", () => {
    const { unit, put } = machine();
    put(5, remapped({ svt: 2, sid: 0x0305 }));
    for (const bus of [3, 4, 5]) expect(unit.interrupt(handle(5), 0, bus << 8)).toBe(Outcome.remapped);
  });

  test("cannot be made for an unknown requester", () => {
    const { unit, put } = machine();
    for (const svt of [1, 2]) {
      put(svt, remapped({ svt, sid: 0x0305 }));
      expect(unit.interrupt(handle(svt), 0, unknownRequester)).toBe(Outcome.remapped);
    }
    put(3, remapped({ svt: 3 }));
    unit.interrupt(handle(3), 0, unknownRequester);
    expect(unit.fault?.reason).toBe(0x24);
  });
});

describe("posting", () => {
  const nv = 0xf2;
  const states = [0, 1].flatMap((on) =>
    [0, 1].flatMap((sn) => [0, 1].flatMap((urg) => [0, 1].map((same) => ({ on, sn, urg, same })))),
  );

  test.each(states)(
    "with ON=$on SN=$sn URG=$urg and the vector already there: $same",
    ({ on, sn, urg, same }) => {
      const { unit, fabric, memory, put } = machine();
      put(5, posted({ urg }));
      memory.write32(descriptorAddress + 8, same << 1);
      memory.write32(descriptorAddress + 32, on | (sn << 1) | (nv << 16));
      memory.write32(descriptorAddress + 36, 0x0700);
      expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.posted);
      const notified = on === 0 && (sn === 0 || urg === 1);
      expect(memory.read32(descriptorAddress + 8)).toBe(2);
      expect(memory.read32(descriptorAddress + 32) & 3).toBe((notified ? 1 : on) | (sn << 1));
      expect(fabric.deliveries).toEqual(
        notified
          ? [{ destination: 7, logical: 0, redirectionHint: 0, deliveryMode: 0, vector: nv, level: 0 }]
          : [],
      );
    },
  );

  test("notifies a 32-bit destination in x2APIC mode", () => {
    const { unit, fabric, memory, put } = machine(vtdStrict, { eime: true });
    put(5, posted());
    memory.write32(descriptorAddress + 36, 0x1234_5678);
    unit.interrupt(handle(5), 0, device);
    expect(fabric.deliveries[0]!.destination).toBe(0x1234_5678);
  });

  test.each([
    {
      name: "an inaccessible descriptor",
      reason: 0x27,
      prepare: (m: Memory) => m.injectError(descriptorAddress + 60, 4),
    },
    {
      name: "reserved control bits",
      reason: 0x28,
      prepare: (m: Memory) => m.write32(descriptorAddress + 32, 4),
    },
    {
      name: "a wide destination in xAPIC mode",
      reason: 0x28,
      prepare: (m: Memory) => m.write32(descriptorAddress + 36, 1),
    },
  ])("is blocked for $name, and the descriptor is left alone", ({ reason, prepare }) => {
    const { unit, memory, put } = machine();
    put(5, posted());
    prepare(memory);
    expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.blocked);
    expect(unit.fault).toMatchObject({ reason, index: 5, entry: posted(), recorded: true });
    expect(memory.read32(descriptorAddress + 8)).toBe(0);
  });

  test.each([
    { name: "bit 2", raw: 1n << 2n },
    { name: "bit 32", raw: 1n << 32n },
    { name: "bit 84", raw: 1n << 84n },
    { name: "SVT=11b", raw: 3n << 82n },
  ])("is blocked for reserved $name of the entry", ({ raw }) => {
    const { unit, put } = machine();
    put(5, posted() | raw);
    unit.interrupt(handle(5), 0, device);
    expect(unit.fault?.reason).toBe(0x24);
  });

  test("is blocked for a descriptor at or above the host address width", () => {
    const { unit, put } = machine({ ...vtdStrict, hostAddressWidth: 39 });
    put(5, posted({ pda: 2 ** 39 }));
    unit.interrupt(handle(5), 0, device);
    expect(unit.fault?.reason).toBe(0x24);
  });

  test("is a reserved bit where CAP.PI is 0", () => {
    const { unit, put } = machine({
      ...vtdStrict,
      capability: vtdStrict.capability & ~encode(capability, { pi: 1 }),
    });
    put(5, posted());
    unit.interrupt(handle(5), 0, device);
    expect(unit.fault?.reason).toBe(0x24);
  });
});

describe("the interrupt-entry cache", () => {
  test("keeps a present entry until its index is invalidated", () => {
    const { unit, fabric, put } = machine();
    put(5, remapped());
    unit.interrupt(handle(5), 0, device);
    put(5, remapped({ v: 0x77 }));
    unit.interrupt(handle(5), 0, device);
    invalidateEntries(unit, 5);
    unit.interrupt(handle(5), 0, device);
    expect(fabric.deliveries.map(({ vector }) => vector)).toEqual([0x41, 0x41, 0x77]);
  });

  test("drops the 2^IM entries around an index and no other", () => {
    const { unit, put } = machine();
    for (let i = 0; i < 16; i++) put(i, remapped());
    for (let i = 0; i < 16; i++) unit.interrupt(handle(i), 0, device);
    for (let i = 0; i < 16; i++) put(i, 0n);
    invalidateEntries(unit, 6, 2);
    const gone = Array.from({ length: 16 }, (_, i) => i).filter(
      (i) => unit.interrupt(handle(i), 0, device) === Outcome.blocked,
    );
    expect(gone).toEqual([4, 5, 6, 7]);
  });

  test("verifies the source id on hits too, and keeps the entry's FPD", () => {
    const { unit, put } = machine();
    put(5, remapped({ fpd: 1 }));
    unit.interrupt(handle(5), 0, device);
    put(5, remapped());
    expect(unit.interrupt(handle(5), 0, 1)).toBe(Outcome.blocked);
    expect(unit.fault).toMatchObject({ reason: 0x26, recorded: false });
  });

  test.each([
    { profile: vtdStrict, stale: false },
    { profile: vtdCachingMode, stale: true },
    { profile: vtdLineCache, stale: true },
  ])("of $profile.name keeps a not-present entry: $stale", ({ profile, stale }) => {
    const { unit, put } = machine(profile);
    unit.interrupt(handle(5), 0, device);
    put(5, remapped());
    expect(unit.interrupt(handle(5), 0, device)).toBe(stale ? Outcome.blocked : Outcome.remapped);
  });

  test("of a caching-mode unit keeps a faulty entry too", () => {
    const { unit, put } = machine(vtdCachingMode);
    put(5, remapped() | (1n << 12n));
    unit.interrupt(handle(5), 0, device);
    put(5, remapped());
    expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.blocked);
    expect(unit.fault).toMatchObject({ reason: 0x24, entry: remapped() | (1n << 12n) });
  });

  test("of a line-fetching unit keeps the neighbours as they were, the bad ones marked", () => {
    const { unit, put } = machine(vtdLineCache);
    put(4, remapped());
    put(6, remapped({ dlm: 3 }));
    unit.interrupt(handle(4), 0, device);
    for (const i of [5, 6, 7, 8]) put(i, remapped());
    const reasons = [5, 6, 7, 8].map((i) =>
      unit.interrupt(handle(i), 0, device) === Outcome.blocked ? unit.fault?.reason : 0,
    );
    expect(reasons).toEqual([0x22, 0x24, 0x22, 0]);
    invalidateEntries(unit, 5);
    expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.remapped);
  });

  test("judges its entries anew when a new table turns x2APIC mode on", () => {
    const { unit, put } = machine(vtdCachingMode);
    put(5, remapped({ dst: 0x1_0000 }));
    unit.interrupt(handle(5), 0, device);
    expect(unit.fault?.reason).toBe(0x24);
    unit.write(0xb8, 64, BigInt(base | (1 << 11) | 7));
    unit.write(0x18, 32, 0x0700_0000n);
    expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.remapped);
    setTable(unit, { base, size: 7 });
    unit.interrupt(handle(5), 0, device);
    expect(unit.fault?.reason).toBe(0x24);
  });
});

describe("a unit that does not snoop", () => {
  test("sees an entry only once its line is flushed", () => {
    const { unit, cpuCache } = machine(vtdNonCoherent);
    toWords(remapped(), 128).forEach((word, i) => cpuCache.write32(base + 80 + 4 * i, word));
    expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.blocked);
    cpuCache.flush(base + 80, 16);
    expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.remapped);
  });

  test("snoops descriptors all the same", () => {
    const { unit, cpuCache, memory, put, fabric } = machine(vtdNonCoherent);
    put(5, posted());
    cpuCache.write32(descriptorAddress + 32, 0xf2 << 16);
    expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.posted);
    expect(fabric.deliveries[0]!.vector).toBe(0xf2);
    expect(cpuCache.read32(descriptorAddress + 8)).toBe(2);
    expect(memory.read32(descriptorAddress + 8)).toBe(2);
  });
});

test("a unit that snoops sees an entry at once", () => {
  const memory = new Memory();
  const cpuCache = new CpuCache(memory);
  const unit = new VtdUnit({ memory, cpuCache, fabric: new RecordingFabric(), profile: vtdStrict });
  enableRemapping(unit, { base, size: 7 });
  toWords(remapped(), 128).forEach((word, i) => cpuCache.write32(base + 80 + 4 * i, word));
  expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.remapped);
});

/** Each of QEMU's deviations beside the letter of the specification: outcomes as reasons, 0 for delivered. */
const deviations: {
  name: string;
  strict: number;
  qemu: number;
  entry?: bigint;
  address?: number;
  data?: number;
  requester?: number;
}[] = [
  { name: "a compatibility-format request", strict: 0x25, qemu: 0, address: 0xfee0_0000 | 0 },
  {
    name: "a bus inside an ascending range",
    strict: 0,
    qemu: 0x26,
    entry: remapped({ svt: 2, sid: 0x0005 }),
    requester: 0x0300,
  },
  {
    name: "a bus inside a descending range",
    strict: 0x26,
    qemu: 0,
    entry: remapped({ svt: 2, sid: 0x0500 }),
    requester: 0x0300,
  },
  {
    name: "reserved bits and a wrong source id",
    strict: 0x26,
    qemu: 0x24,
    entry: remapped() | (1n << 12n),
    requester: 1,
  },
  {
    name: "reserved data and a not-present entry",
    strict: 0x20,
    qemu: 0x22,
    entry: 0n,
    address: handle(5, 1),
    data: 0x1_0000,
  },
  { name: "reserved data and a good entry", strict: 0x20, qemu: 0x20, address: handle(5, 1), data: 0x1_0000 },
  { name: "a wide destination in xAPIC mode", strict: 0x24, qemu: 0, entry: remapped({ dst: 0x1_0300 }) },
  { name: "an SMI with a vector", strict: 0x24, qemu: 0, entry: remapped({ dlm: 2 }) },
  { name: "a posted entry", strict: 0, qemu: 0, entry: posted() },
  { name: "source id FFFFh", strict: 0x26, qemu: 0, requester: 0xffff },
  { name: "SVT=11b", strict: 0x24, qemu: 0x26, entry: remapped({ svt: 3 }) },
  { name: "an index that wraps in 16 bits", strict: 0x21, qemu: 0, address: handle(10, 1), data: 0xfffb },
];

describe("QEMU departs from the specification for", () => {
  test.each(deviations)(
    "$name: $strict becomes $qemu",
    ({ strict, qemu, entry, address, data, requester }) => {
      for (const [profile, reason] of [
        [vtdStrict, strict],
        [vtdQemu111, qemu],
      ] as const) {
        const { unit, put } = machine(profile);
        put(5, entry ?? remapped());
        const outcome = unit.interrupt(address ?? handle(5), data ?? 0, requester ?? device);
        expect(outcome === Outcome.blocked ? unit.fault?.reason : 0).toBe(reason);
      }
    },
  );

  test("a posted entry, which it delivers by its low word", () => {
    const { unit, fabric, put } = machine(vtdQemu111);
    put(5, posted());
    expect(unit.interrupt(handle(5), 0, device)).toBe(Outcome.remapped);
    expect(fabric.deliveries[0]!.vector).toBe(0x41);
  });

  test("an index past the table, which the first releases of 7.2 follow and 11.1 does not", () => {
    const early: VtdProfile = { ...vtdQemu72, deviations: [...vtdQemu72.deviations, "indexUnbounded"] };
    for (const [profile, outcome] of [
      [early, Outcome.remapped],
      [vtdQemu111, Outcome.blocked],
    ] as const) {
      const { unit, put } = machine(profile);
      put(300, remapped());
      expect(unit.interrupt(handle(300), 0, device)).toBe(outcome);
    }
  });

  test("faults, which 7.2 does not record", () => {
    const { unit } = machine(vtdQemu72);
    unit.interrupt(handle(5), 0, device);
    expect(unit.fault).toMatchObject({ reason: 0x22, recorded: false });
    expect(unit.read(0x34, 32)).toBe(0n);
  });
});
