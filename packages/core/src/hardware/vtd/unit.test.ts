import { describe, expect, test } from "vitest";
import { encode, toWords } from "../../spec/codec.ts";
import type { RuleId } from "../../spec/rules.ts";
import { capability, extendedCapability, globalStatus, registers } from "../../spec/vtd/registers.ts";
import { Outcome } from "../delivery.ts";
import { type EventKind, type Observer, eventKinds } from "../event.ts";
import { Memory } from "../memory.ts";
import { RecordingFabric } from "../recording-fabric.ts";
import { command, enableRemapping } from "./bring-up.ts";
import { type VtdProfile, vtdProfiles, vtdQemu111, vtdQemu72, vtdStrict } from "./profile.ts";
import { VtdUnit } from "./unit.ts";

const R = Object.fromEntries(Object.entries(registers).map(([name, { offset }]) => [name, offset])) as Record<
  keyof typeof registers,
  number
>;
const table = 0x10_0000;
const present = 0x41_0001n;

/** The strict unit without some of its extended capabilities. */
function without(features: { readonly eim?: 1; readonly smts?: 1 }): VtdProfile {
  return {
    ...vtdStrict,
    extendedCapability: vtdStrict.extendedCapability & ~encode(extendedCapability, features),
  };
}

function bare(profile: VtdProfile = vtdStrict) {
  const memory = new Memory();
  const fabric = new RecordingFabric();
  const broken: RuleId[] = [];
  const unit = new VtdUnit({ memory, fabric, profile, onViolation: (rule) => broken.push(rule) });
  return { memory, fabric, unit, broken };
}

function withCapability(cap: Record<string, number>, ecap: Record<string, number> = {}): VtdProfile {
  return {
    ...vtdStrict,
    capability: vtdStrict.capability | encode(capability, cap),
    extendedCapability: vtdStrict.extendedCapability | encode(extendedCapability, ecap),
  };
}

function gsts(unit: VtdUnit): bigint {
  return unit.read(R.GSTS, 32);
}

describe("the register page", () => {
  test.each(vtdProfiles)(
    "of $name shows its version and capabilities, which software cannot write",
    (profile) => {
      const { unit } = bare(profile);
      for (const [offset, value] of [
        [R.CAP, profile.capability],
        [R.ECAP, profile.extendedCapability],
      ] as const) {
        unit.write(offset, 64, 0n);
        expect(unit.read(offset, 64)).toBe(value);
      }
      expect(unit.read(R.VER, 32)).toBe(BigInt(profile.version));
    },
  );

  test.each([
    { name: "FEDATA", width: 32, value: 0xffff_ffffn, kept: 0xffff_ffffn },
    { name: "FEADDR", width: 32, value: 0xffff_ffffn, kept: 0xffff_fffcn },
    { name: "IQA", width: 64, value: 0xffff_ffff_ffff_ffffn, kept: 0xffff_ffff_ffff_f807n },
    { name: "IRTA", width: 64, value: 0xffff_ffff_ffff_ffffn, kept: 0xffff_ffff_ffff_f80fn },
    { name: "PHMBASE", width: 64, value: 0x1234n, kept: 0x1234n },
    { name: "GSTS", width: 32, value: 0xffff_ffffn, kept: 0n },
    { name: "GCMD", width: 32, value: 0n, kept: 0n },
  ] as const)("keeps of $name what is writable", ({ name, width, value, kept }) => {
    const { unit } = bare();
    unit.write(R[name], width, value);
    expect(unit.read(R[name], width)).toBe(kept);
  });

  test("tells of reserved bits that software sets", () => {
    const { unit, broken } = bare();
    unit.write(R.IRTA, 64, 0x10n);
    expect(broken).toEqual(["vtd.register.reserved"]);
  });

  test("has no EIME where ECAP.EIM is 0, except in QEMU 7.2", () => {
    for (const [profile, read] of [
      [without({ eim: 1 }), 0x0000_0001_0000_000fn],
      [vtdQemu72, 0x0000_0001_0000_080fn],
    ] as const) {
      const { unit } = bare(profile);
      unit.write(R.IRTA, 64, 0x0000_0001_0000_080fn);
      expect(unit.read(R.IRTA, 64)).toBe(read);
    }
  });

  test("ignores writes where no register stands", () => {
    const { unit } = bare();
    unit.write(0xf00, 32, 1n);
    expect(unit.read(0xf00, 32)).toBe(0n);
  });

  test.each([
    [2, 32],
    [4, 64],
    [4096, 32],
    [-4, 32],
    [0.5, 32],
  ] as const)("refuses an access at %s of %s bits", (offset, width) => {
    const { unit } = bare();
    expect(() => unit.read(offset, width)).toThrow(RangeError);
    expect(() => unit.write(offset, width, 0n)).toThrow(RangeError);
  });

  test("must have room for the fault records", () => {
    expect(() => bare(withCapability({ fro: 0x3ff }))).toThrow(/8 fault records at 16368/);
  });
});

describe("the global command register", () => {
  test("turns lasting bits on and off and shows them in GSTS", () => {
    const { unit } = bare();
    for (const [bit, state] of [
      ["qie", "qies"],
      ["cfi", "cfis"],
      ["te", "tes"],
      ["ire", "ires"],
    ] as const) {
      command(unit, { [bit]: 1 });
      expect(gsts(unit) & encode(globalStatus, { [state]: 1 })).not.toBe(0n);
      command(unit, { [bit]: 0 });
      expect(gsts(unit) & encode(globalStatus, { [state]: 1 })).toBe(0n);
    }
  });

  test("tells of a write that changes two bits at once", () => {
    const { unit, broken } = bare();
    command(unit, { qie: 1, te: 1 });
    expect(broken).toEqual(["vtd.gcmd.one-bit"]);
  });

  test("tells of enabling before a table was set, and of EIME that changes meanwhile", () => {
    const { unit, broken } = bare();
    command(unit, { ire: 1 });
    unit.write(R.IRTA, 64, 0x800n);
    command(unit, { sirtp: 1 });
    expect(broken).toEqual(["vtd.gcmd.ire-before-sirtp", "vtd.irta.eime-change"]);
  });

  test("tells of a table that is not aligned to its size", () => {
    const { unit, broken } = bare();
    unit.write(R.IRTA, 64, 0x1_100fn);
    command(unit, { sirtp: 1 });
    expect(broken).toEqual(["vtd.irta.alignment"]);
  });

  test("ignores commands without a capability", () => {
    const { unit } = bare({ ...vtdStrict, extendedCapability: 0n });
    command(unit, { qie: 1 });
    command(unit, { ire: 1 });
    command(unit, { sirtp: 1 });
    command(unit, { wbf: 1 });
    expect(gsts(unit)).toBe(0n);
  });

  test("flushes a required write buffer at once", () => {
    const { unit, broken } = bare(withCapability({ rwbf: 1 }));
    command(unit, { wbf: 1 });
    expect(gsts(unit)).toBe(0n);
    expect(broken).toEqual([]);
  });

  test("latches the table with SIRTP, not with the write to IRTA", () => {
    const { unit, memory } = bare();
    enableRemapping(unit, { base: table, size: 7 });
    memory.write64(table, present);
    unit.write(R.IRTA, 64, 0x20_0007n);
    expect(unit.read(R.IRTA, 64)).toBe(0x20_0007n);
    expect(unit.interrupt(0xfee0_0010 | 0, 0, 0)).toBe(Outcome.remapped);
    command(unit, { sirtp: 1 });
    command(unit, { qie: 0 });
    expect(unit.interrupt(0xfee0_0010 | 0, 0, 0)).toBe(Outcome.remapped);
  });

  test.each([
    { esirtps: 0, sirtp: Outcome.remapped, off: Outcome.remapped },
    { esirtps: 1, sirtp: Outcome.blocked, off: Outcome.blocked },
  ])("drops cached entries by itself only where ESIRTPS=$esirtps is 1", ({ esirtps, sirtp, off }) => {
    for (const [change, outcome] of [
      [[{ sirtp: 1 }], sirtp],
      [[{ ire: 0 }, { ire: 1 }], off],
    ] as const) {
      const { unit, memory } = bare(withCapability({ esirtps }));
      enableRemapping(unit, { base: table, size: 7 });
      memory.write64(table, present);
      unit.interrupt(0xfee0_0010 | 0, 0, 0);
      memory.write64(table, 0n);
      for (const one of change) command(unit, one);
      expect(unit.interrupt(0xfee0_0010 | 0, 0, 0)).toBe(outcome);
    }
  });
});

const queue = 0x30_0000;

/** A unit with its queue on; `push` writes descriptors behind each other and moves the tail. */
function queued(profile: VtdProfile = vtdStrict, bytes: 16 | 32 = 16) {
  const one = bare(profile);
  const { unit, memory } = one;
  unit.write(R.IQA, 64, BigInt(queue) | (bytes === 32 ? 0x800n : 0n));
  command(unit, { qie: 1 });
  let tail = 0;
  const push = (...descriptors: bigint[]): void => {
    for (const descriptor of descriptors) {
      memory.writeWords(queue + tail, toWords(descriptor, bytes * 8));
      tail = (tail + bytes) % 4096;
    }
    unit.write(R.IQT, 64, BigInt(tail));
  };
  const iqei = (): bigint => unit.read(R.IQERCD, 64) & 0xfn;
  return { ...one, push, iqei };
}

const waitStatus = (data: bigint, address: bigint): bigint => (address << 64n) | (data << 32n) | 0x25n;
const waitInterrupt = 0x15n;
const iecGlobal = 0x4n;

describe("the invalidation queue", () => {
  test("executes descriptors in order until its head meets its tail", () => {
    const { unit, memory, push, iqei } = queued();
    push(0x11n, 0x12n, iecGlobal, waitStatus(2n, 0x5000n), waitStatus(3n, 0x5004n));
    expect([memory.read32(0x5000), memory.read32(0x5004)]).toEqual([2, 3]);
    expect(unit.read(R.IQH, 64)).toBe(0x50n);
    expect(iqei()).toBe(0n);
  });

  test("goes round its end", () => {
    const { unit, memory, push } = queued();
    for (let i = 0; i < 300; i++) push(waitStatus(BigInt(i), 0x5000n));
    expect(memory.read32(0x5000)).toBe(299);
    expect(unit.read(R.IQH, 64)).toBe(BigInt((300 * 16) % 4096));
  });

  test("takes 256-bit descriptors, whose upper half is reserved", () => {
    const { memory, push, iqei } = queued(vtdStrict, 32);
    push(iecGlobal, waitStatus(2n, 0x5000n));
    expect(memory.read32(0x5000)).toBe(2);
    push(iecGlobal | (1n << 128n));
    expect(iqei()).toBe(4n);
  });

  test("does not start before it is enabled, and then at once", () => {
    const { unit, memory } = bare();
    unit.write(R.IQA, 64, BigInt(queue));
    memory.writeWords(queue, toWords(waitStatus(2n, 0x5000n), 128));
    unit.write(R.IQT, 64, 0x10n);
    expect(memory.read32(0x5000)).toBe(0);
    command(unit, { qie: 1 });
    expect(memory.read32(0x5000)).toBe(2);
  });

  test("drops a status write that leaves the address space", () => {
    const { push, iqei } = queued();
    push(waitStatus(2n, 1n << 63n));
    expect(iqei()).toBe(0n);
  });

  test.each<{
    name: string;
    iqei: bigint;
    profile?: VtdProfile;
    bytes?: 16 | 32;
    go: (one: ReturnType<typeof queued>) => void;
  }>([
    { name: "a tail past its end", iqei: 1n, go: ({ unit }) => unit.write(R.IQT, 64, 0x1000n) },
    {
      name: "an error while it fetches",
      iqei: 2n,
      go: ({ memory, push }) => {
        memory.injectError(queue, 16);
        push(iecGlobal);
      },
    },
    { name: "type 0", iqei: 3n, go: ({ push }) => push(0n) },
    { name: "a type of scalable mode", iqei: 3n, go: ({ push }) => push(0x7n) },
    { name: "type bits 11:9", iqei: 3n, go: ({ push }) => push(0x204n) },
    { name: "reserved bits", iqei: 4n, go: ({ push }) => push(iecGlobal | (1n << 64n)) },
    {
      name: "a mask above MHMV",
      iqei: 4n,
      profile: { ...vtdStrict, extendedCapability: 0x70_0f5an },
      go: ({ push }) => push(0x14n | (8n << 27n)),
    },
    { name: "a page-request drain without PDS", iqei: 4n, go: ({ push }) => push(0x85n) },
    {
      name: "256-bit descriptors without SMTS",
      iqei: 5n,
      profile: without({ smts: 1 }),
      bytes: 32,
      go: ({ push }) => push(iecGlobal),
    },
    {
      name: "128-bit descriptors in scalable mode",
      iqei: 5n,
      go: ({ unit, push }) => {
        unit.write(R.RTADDR, 64, 0x400n);
        command(unit, { srtp: 1 });
        push(iecGlobal);
      },
    },
    {
      name: "a tail inside a 256-bit descriptor",
      iqei: 6n,
      bytes: 32,
      go: ({ unit }) => unit.write(R.IQT, 64, 0x10n),
    },
  ])("stops at $name with IQEI $iqei", ({ iqei, profile, bytes, go }) => {
    const one = queued(profile, bytes);
    go(one);
    expect(one.iqei()).toBe(iqei);
    expect(one.unit.read(R.FSTS, 32) & 0x10n).toBe(0x10n);
    expect(one.unit.read(R.IQH, 64)).toBe(0n);
    expect(one.broken).toHaveLength(1);
  });

  test("goes on where it stopped once software has mended the descriptor and cleared IQE", () => {
    const { unit, memory, push } = queued();
    push(0n, waitStatus(2n, 0x5000n));
    push(waitStatus(3n, 0x5004n));
    expect(memory.read32(0x5004)).toBe(0);
    memory.writeWords(queue, toWords(iecGlobal, 128));
    unit.write(R.FSTS, 32, 0x10n);
    expect([memory.read32(0x5000), memory.read32(0x5004)]).toEqual([2, 3]);
  });

  test("raises one completion event until software clears IWC", () => {
    const { unit, fabric, push } = queued();
    unit.write(R.IEDATA, 32, 0x31n);
    unit.write(R.IEADDR, 32, 0xfee0_1000n);
    unit.write(R.IEUADDR, 32, 0x100n);
    unit.write(R.IECTL, 32, 0n);
    push(waitInterrupt, waitInterrupt);
    expect(fabric.messages).toEqual([{ address: 0x100_fee0_1000n, data: 0x31 }]);
    unit.write(R.ICS, 32, 1n);
    push(waitInterrupt);
    expect(fabric.messages).toHaveLength(2);
  });

  test("keeps a masked completion event pending, and forgets it when IWC is cleared", () => {
    const { unit, fabric, push } = queued();
    push(waitInterrupt);
    expect(unit.read(R.IECTL, 32)).toBe(0xc000_0000n);
    unit.write(R.IECTL, 32, 0n);
    expect(fabric.messages).toHaveLength(1);
    unit.write(R.IECTL, 32, 0x8000_0000n);
    unit.write(R.ICS, 32, 1n);
    push(waitInterrupt);
    unit.write(R.ICS, 32, 1n);
    unit.write(R.IECTL, 32, 0n);
    expect(fabric.messages).toHaveLength(1);
  });
});

/** A unit with an empty table: each request is a fault of its requester. */
function faulty(profile: VtdProfile = vtdStrict) {
  const one = bare(profile);
  enableRemapping(one.unit, { base: table, size: 7 });
  const fro = 16 * Number((profile.capability >> 24n) & 0x3ffn);
  const fault = (requester: number, index = 5): void => {
    one.unit.interrupt(0xfee0_0010 | (index << 5), 0, requester);
  };
  const record = (n: number): { low: bigint; high: bigint } => ({
    low: one.unit.read(fro + 16 * n, 64),
    high: one.unit.read(fro + 16 * n + 8, 64),
  });
  const clear = (n: number): void => one.unit.write(fro + 16 * n + 12, 32, 0x8000_0000n);
  const fsts = (): bigint => one.unit.read(R.FSTS, 32);
  return { ...one, fault, record, clear, fsts };
}

describe("the fault log", () => {
  test("records reason, source id and index, and says where the first record lies", () => {
    const { fault, record, fsts, clear } = faulty();
    fault(0x0018);
    clear(0);
    fault(0x0020, 6);
    expect(record(1)).toEqual({ low: 0x0006_0000_0000_0000n, high: 0x8000_0022_0000_0020n });
    expect(fsts()).toBe(0x102n);
  });

  test("fills its records in turn, then drops faults and says so", () => {
    const { fault, record, fsts, clear } = faulty();
    for (let i = 0; i < 9; i++) fault(i);
    expect(fsts()).toBe(0x003n);
    expect(record(7).high).toBe(0x8000_0022_0000_0007n);
    for (let i = 0; i < 8; i++) clear(i);
    fault(0x55);
    expect(record(0).high).toBe(0x0000_0022_0000_0000n);
    expect(fsts()).toBe(0x001n);
  });

  test("records again once the overflow is cleared", () => {
    const { unit, fault, record, clear, fsts } = faulty();
    for (let i = 0; i < 9; i++) fault(i);
    unit.write(R.FSTS, 32, 1n);
    clear(0);
    fault(0x55);
    expect(record(0).high).toBe(0x8000_0022_0000_0055n);
    expect(fsts()).toBe(0x002n);
  });

  test("keeps PPF while one record is left, and only F of a record can be written", () => {
    const { unit, fault, fsts, clear, record } = faulty();
    fault(1);
    fault(2);
    clear(0);
    expect(fsts()).toBe(0x002n);
    unit.write(0x220 + 16, 32, 0n);
    unit.write(0x220 + 28, 32, 0n);
    expect(record(1).high).toBe(0x8000_0022_0000_0002n);
    clear(1);
    expect(fsts()).toBe(0n);
  });

  test("starts over at its first record when translation and remapping are both off", () => {
    const { unit, fault, record, clear } = faulty();
    fault(1);
    clear(0);
    command(unit, { ire: 0 });
    command(unit, { ire: 1 });
    fault(2);
    expect(record(0).high & 0xffffn).toBe(2n);
  });

  test("drops a second fault of a source whose record is pending, if the profile compresses", () => {
    const { fault, record, clear, fsts } = faulty({ ...vtdStrict, compressesFaults: true });
    fault(1, 5);
    fault(1, 6);
    fault(2, 7);
    expect(record(1).high & 0xffffn).toBe(2n);
    clear(0);
    fault(1, 8);
    expect(record(2).low).toBe(0x0008_0000_0000_0000n);
    expect(fsts() & 1n).toBe(0n);
  });
});

function armed() {
  const one = faulty();
  one.unit.write(R.FEDATA, 32, 0x30n);
  one.unit.write(R.FEADDR, 32, 0xfee0_0000n);
  return one;
}

describe("the fault event", () => {
  test("is sent once for the first pending fault, straight to the fabric", () => {
    const { unit, fabric, fault, clear } = armed();
    unit.write(R.FECTL, 32, 0n);
    fault(1);
    fault(2);
    expect(fabric.messages).toEqual([{ address: 0xfee0_0000n, data: 0x30 }]);
    clear(0);
    clear(1);
    fault(3);
    expect(fabric.messages).toHaveLength(2);
  });

  test("waits while it is masked, and goes out when it is unmasked", () => {
    const { unit, fabric, fault } = armed();
    fault(1);
    expect(unit.read(R.FECTL, 32)).toBe(0xc000_0000n);
    unit.write(R.FECTL, 32, 0x8000_0000n);
    expect(fabric.messages).toEqual([]);
    unit.write(R.FECTL, 32, 0n);
    expect(fabric.messages).toHaveLength(1);
    expect(unit.read(R.FECTL, 32)).toBe(0n);
  });

  test("is forgotten when software clears the fault first", () => {
    const { unit, fabric, fault, clear } = armed();
    fault(1);
    clear(0);
    expect(unit.read(R.FECTL, 32)).toBe(0x8000_0000n);
    unit.write(R.FECTL, 32, 0n);
    expect(fabric.messages).toEqual([]);
  });

  test("is raised by an error of the queue, and withdrawn when IQE is cleared", () => {
    const { unit } = armed();
    unit.write(R.IQA, 64, BigInt(queue));
    unit.write(R.IQT, 64, 0x10n);
    expect(unit.read(R.FECTL, 32)).toBe(0xc000_0000n);
    unit.write(R.IQT, 64, 0n);
    unit.write(R.FSTS, 32, 0x10n);
    expect(unit.read(R.FECTL, 32)).toBe(0x8000_0000n);
  });

  test("is not raised anew by an error of the queue while a fault is pending", () => {
    const { unit, fabric, fault } = armed();
    unit.write(R.FECTL, 32, 0n);
    fault(1);
    unit.write(R.IQA, 64, BigInt(queue));
    unit.write(R.IQT, 64, 0x10n);
    expect(fabric.messages).toHaveLength(1);
  });
});

test("an observer sees what happens, in order", () => {
  const seen: EventKind[] = [];
  const observer: Observer = { record: (kind) => void seen.push(kind) };
  const memory = new Memory();
  const unit = new VtdUnit({ memory, fabric: new RecordingFabric(), profile: vtdStrict, observer });
  enableRemapping(unit, { base: table, size: 7 });
  unit.executeDescriptor(toWords(0x14n, 128));
  unit.executeDescriptor(toWords(waitStatus(1n, 0x5000n), 128));
  memory.write64(table, present);
  memory.write64(table + 32, 0x41_8001n);
  seen.length = 0;
  unit.write(R.FECTL, 32, 0n);
  for (const [address, kinds] of [
    [0xfee0_0010, [eventKinds.request, eventKinds.entry, eventKinds.remapped]],
    [0xfee0_0010, [eventKinds.request, eventKinds.entry, eventKinds.remapped]],
    [0xfee0_0050, [eventKinds.request, eventKinds.entry, eventKinds.posted]],
    [0xfee0_0030, [eventKinds.request, eventKinds.entry, eventKinds.event, eventKinds.fault]],
    [0xfee0_0000, [eventKinds.request, eventKinds.fault]],
  ] as const) {
    seen.length = 0;
    unit.interrupt(address | 0, 0, 0);
    expect(seen).toEqual(kinds);
  }
  command(unit, { ire: 0 });
  seen.length = 0;
  unit.interrupt(0xfee0_0010 | 0, 0, 0);
  expect(seen).toEqual([eventKinds.request, eventKinds.passed]);
});

test("an observer of a unit without a cache sees every entry fetched", () => {
  const hits: number[] = [];
  const observer: Observer = {
    record: (kind, _index, hit) => void (kind === eventKinds.entry && hits.push(hit)),
  };
  const memory = new Memory();
  const unit = new VtdUnit({ memory, fabric: new RecordingFabric(), profile: vtdQemu111, observer });
  enableRemapping(unit, { base: table, size: 7 });
  memory.write64(table, present);
  unit.interrupt(0xfee0_0010 | 0, 0, 0);
  unit.interrupt(0xfee0_0010 | 0, 0, 0);
  expect(hits).toEqual([0, 0]);
  memory.injectError(table, 16);
  expect(unit.interrupt(0xfee0_0010 | 0, 0, 0)).toBe(Outcome.blocked);
  expect(unit.fault?.reason).toBe(0x23);
});
