import { describe, expect, test } from "vitest";
import { decode, encode } from "../../spec/codec.ts";
import { commandCodes, completionWait, invalidateDevtabEntry } from "../../spec/amdvi/commands.ts";
import { eventCodes, eventGeneric } from "../../spec/amdvi/events.ts";
import { interruptCapability, registers, ringBase, status } from "../../spec/amdvi/registers.ts";
import { eventKinds } from "../event.ts";
import { controlOf } from "./bring-up.ts";
import { amdviStrict } from "./profile.ts";
import { place, testbed } from "./testbed.ts";

const opcode = commandCodes.COMPLETION_WAIT;
const whole = {
  deviceTable: 0,
  commands: { base: 0 },
  events: { base: 0 },
  guestLog: { base: 0 },
  interrupts: true,
};
const off = { ...whole, commands: undefined, events: undefined, guestLog: undefined };

type Bed = ReturnType<typeof testbed>;
const statusOf = (bed: Bed) => decode(status, bed.read("STATUS"));

function raw(opcode: number, rest = 0n): bigint {
  return (BigInt(opcode) << 60n) | rest;
}

function writeControl(bed: Bed, setup: Partial<typeof off>): void {
  const { commands, events, guestLog, ...rest } = { ...whole, ...setup };
  const rings = { ...(commands && { commands }), ...(events && { events }), ...(guestLog && { guestLog }) };
  bed.write("CONTROL", controlOf({ ...rest, ...rings }));
}

describe("registers", () => {
  test("show what the profile reports, whatever is written", () => {
    const bed = testbed();
    bed.write("EFR", 0n);
    bed.write("EFR2", -1n);
    expect([bed.read("EFR"), bed.read("EFR2")]).toEqual([amdviStrict.efr, amdviStrict.efr2]);
  });

  test("keep the bits that they have, in halves too", () => {
    const bed = testbed(amdviStrict, null);
    bed.write("DEV_TAB_BASE", 0xffff_ffff_ffff_ffffn);
    expect(bed.read("DEV_TAB_BASE")).toBe(0x000f_ffff_ffff_f1ffn);
    bed.unit.write(registers.EVT_LOG_BASE.offset + 4, 32, 0xffff_ffffn);
    expect(bed.read("EVT_LOG_BASE")).toBe(0x0f0f_ffff_0000_0000n);
    expect(bed.unit.read(registers.EVT_LOG_BASE.offset + 4, 32)).toBe(0x0f0f_ffffn);
    bed.write("EXCL_BASE", 0x1234_5678_9abc_def0n);
    expect(bed.read("EXCL_BASE")).toBe(0x1234_5678_9abc_def0n);
  });

  test("report each write", () => {
    const bed = testbed(amdviStrict, null);
    bed.unit.write(0x20, 32, 0x8000_0000n);
    bed.write("EXCL_BASE", 0x1_0000_0002n);
    expect(bed.reported(eventKinds.register)).toEqual([
      [0x20, 0x8000_0000 | 0, 0, 0, 0, 0],
      [0x20, 2, 1, 0, 0, 0],
    ]);
  });

  test("that do not exist read as zero and ignore writes", () => {
    const bed = testbed();
    for (const offset of [0x90, 0x2100, 0x7_fff8]) {
      bed.unit.write(offset, 64, -1n);
      expect(bed.unit.read(offset, 64)).toBe(0n);
    }
  });

  test.each([
    [2, 32],
    [4, 64],
    [-8, 64],
    [0.5, 32],
  ] as const)("are not accessed at %d by %d bits", (offset, width) => {
    const bed = testbed();
    expect(() => bed.unit.read(offset, width)).toThrow(RangeError);
    expect(() => bed.unit.write(offset, width, 0n)).toThrow(RangeError);
  });

  test("of a buffer's pointers go to zero with a new base", () => {
    const bed = testbed();
    bed.send(5);
    bed.command(raw(opcode));
    expect([bed.read("EVT_LOG_TAIL"), bed.read("CMD_BUF_TAIL")]).toEqual([16n, 16n]);
    bed.write("EVT_LOG_BASE", bed.read("EVT_LOG_BASE"));
    bed.write("CMD_BUF_BASE", bed.read("CMD_BUF_BASE"));
    expect([bed.read("EVT_LOG_TAIL"), bed.read("CMD_BUF_TAIL"), bed.read("CMD_BUF_HEAD")]).toEqual([
      0n,
      0n,
      0n,
    ]);
  });

  test("show what runs", () => {
    const bed = testbed();
    expect(statusOf(bed)).toMatchObject({ eventlogrun: 1, cmdbufrun: 1, galogrun: 1 });
    bed.write("STATUS", -1n);
    expect(statusOf(bed)).toMatchObject({ eventlogrun: 1, cmdbufrun: 1, galogrun: 1 });
    writeControl(bed, off);
    expect(statusOf(bed)).toMatchObject({ eventlogrun: 0, cmdbufrun: 0, galogrun: 0 });
  });
});

describe("COMPLETION_WAIT", () => {
  test("stores its data", () => {
    const bed = testbed();
    bed.command(
      encode(completionWait, { opcode, s: 1, f: 1, address: 0x1_0000_0008, data: 0xfedc_ba98_7654_3210n }),
    );
    expect(bed.memory.read64(0x1_0000_0008)).toBe(0xfedc_ba98_7654_3210n);
    expect(bed.reported(eventKinds.completed)).toEqual([[8, 1, 0x7654_3210, 0xfedc_ba98 | 0, 0, 0]]);
    expect(statusOf(bed).comwaitint).toBe(0);
    expect(bed.fabric.messages).toEqual([]);
  });

  test("stores nothing with s=0", () => {
    const bed = testbed();
    bed.command(encode(completionWait, { opcode, address: place.store, data: 1 }));
    expect(bed.memory.read64(place.store)).toBe(0n);
  });

  test("interrupts once until ComWaitInt is cleared", () => {
    const bed = testbed();
    const wait = encode(completionWait, { opcode, i: 1 });
    bed.command(wait, wait);
    expect(bed.fabric.messages).toEqual([{ address: 0xfee0_3000n, data: 0x26 }]);
    expect(bed.reported(eventKinds.event)).toEqual([[0xfee0_3000 | 0, 0, 0x26, 0, 0, 0]]);
    expect(statusOf(bed).comwaitint).toBe(1);
    bed.write("STATUS", encode(status, { comwaitint: 1 }));
    expect(statusOf(bed).comwaitint).toBe(0);
    bed.command(wait);
    expect(bed.fabric.messages.length).toBe(2);
  });

  test("sets ComWaitInt alone while ComWaitIntEn is 0", () => {
    const bed = testbed(amdviStrict, { interrupts: false });
    bed.command(encode(completionWait, { opcode, i: 1 }));
    expect(statusOf(bed).comwaitint).toBe(1);
    expect(bed.fabric.messages).toEqual([]);
  });
});

describe("the command buffer", () => {
  test.each([
    commandCodes.INVALIDATE_IOMMU_PAGES,
    commandCodes.INVALIDATE_IOTLB_PAGES,
    commandCodes.PREFETCH_IOMMU_PAGES,
    commandCodes.COMPLETE_PPR_REQUEST,
  ])("takes DMA's command %i as it is", (code) => {
    const bed = testbed();
    bed.command(raw(code, 0xffff_0000_ffffn));
    expect([bed.events(), bed.read("CMD_BUF_HEAD")]).toEqual([[], 16n]);
  });

  const bad: readonly [string, bigint, string][] = [
    ["opcode 0", raw(0), "amdvi.command.illegal"],
    ["opcode 15", raw(15), "amdvi.command.illegal"],
    ["INSERT_GUEST_EVENT, which asks for vIOMMUSup", raw(9), "amdvi.command.illegal"],
    ["RESET_VMMIO, which asks for vIOMMUSup", raw(10), "amdvi.command.illegal"],
    ["a COMPLETION_WAIT with bit 52 set", raw(1, 1n << 52n), "amdvi.command.reserved"],
    ["an INVALIDATE_INTERRUPT_TABLE with bit 16 set", raw(5, 1n << 16n), "amdvi.command.reserved"],
    ["an INVALIDATE_DEVTAB_ENTRY with bit 127 set", raw(2, 1n << 127n), "amdvi.command.reserved"],
    ["an INVALIDATE_IOMMU_ALL with bit 0 set", raw(8, 1n), "amdvi.command.reserved"],
  ];
  test.each(bad)("stops at %s and logs its address", (_, command, rule) => {
    const bed = testbed();
    bed.command(
      raw(opcode),
      command,
      encode(completionWait, { opcode, s: 1, address: place.store, data: 7 }),
    );
    expect(bed.violations).toEqual([rule]);
    expect(decode(eventGeneric, bed.events()[0]!)).toEqual({
      devid: 0,
      pasidhigh: 0,
      domainid: 0,
      flags: 0,
      code: eventCodes.ILLEGAL_COMMAND_ERROR,
      address: place.commands + 16,
    });
    expect([statusOf(bed).cmdbufrun, bed.read("CMD_BUF_HEAD")]).toEqual([0, 16n]);
    expect(bed.memory.read64(place.store)).toBe(0n);
  });

  test("takes INSERT_GUEST_EVENT and RESET_VMMIO where the unit reports vIOMMUSup", () => {
    const bed = testbed({ ...amdviStrict, efr: amdviStrict.efr | (1n << 55n) });
    bed.command(raw(9), raw(10));
    expect([bed.events(), bed.read("CMD_BUF_HEAD")]).toEqual([[], 32n]);
  });

  test.each([
    ["INVALIDATE_IOMMU_ALL", raw(8)],
    ["PREFETCH_IOMMU_PAGES", raw(6)],
    ["COMPLETE_PPR_REQUEST", raw(7)],
  ])("knows no %s where the unit does not report it", (_, command) => {
    const bed = testbed({ ...amdviStrict, efr: 0n });
    bed.command(command);
    expect(bed.violations).toEqual(["amdvi.command.illegal"]);
  });

  test("stops where a command cannot be read", () => {
    const bed = testbed();
    bed.memory.injectError(place.commands + 20, 1);
    bed.command(raw(opcode), raw(opcode));
    expect(decode(eventGeneric, bed.events()[0]!)).toMatchObject({
      code: eventCodes.COMMAND_HARDWARE_ERROR,
      address: place.commands + 16,
    });
    expect([statusOf(bed).cmdbufrun, bed.violations]).toEqual([0, ["amdvi.command.read-error"]]);
  });

  test("goes on where it stopped once CmdBufEn has been set anew", () => {
    const bed = testbed();
    bed.command(raw(0), encode(completionWait, { opcode, s: 1, address: place.store, data: 7 }));
    bed.memory.write64(place.commands, encode(completionWait, { opcode }) & ((1n << 64n) - 1n));
    writeControl(bed, {});
    expect(bed.memory.read64(place.store)).toBe(0n);
    writeControl(bed, { commands: undefined });
    writeControl(bed, {});
    expect([bed.memory.read64(place.store), bed.read("CMD_BUF_HEAD")]).toEqual([7n, 32n]);
  });

  test("waits for CmdBufEn", () => {
    const bed = testbed();
    writeControl(bed, { commands: undefined });
    bed.command(encode(completionWait, { opcode, s: 1, address: place.store, data: 7 }));
    expect([bed.memory.read64(place.store), bed.read("CMD_BUF_HEAD")]).toEqual([0n, 0n]);
    writeControl(bed, {});
    expect(bed.memory.read64(place.store)).toBe(7n);
  });

  test("goes round its end, and ends its turn with a tail beyond the buffer", () => {
    const bed = testbed();
    const wait = raw(opcode);
    for (let i = 0; i < 255; i++) bed.command(wait);
    bed.command(wait, wait);
    expect(bed.read("CMD_BUF_HEAD")).toBe(16n);
    bed.write("CMD_BUF_TAIL", 0x7_fff0n);
    expect(bed.read("CMD_BUF_HEAD")).toBe(0xff0n);
    expect(bed.violations).toEqual([]);
  });

  test("takes a buffer of the largest size to its end", () => {
    const bed = testbed(amdviStrict, { commands: { base: 0x80_0000, length: 15 } });
    const command = encode(invalidateDevtabEntry, { opcode: commandCodes.INVALIDATE_DEVTAB_ENTRY });
    for (let i = 0; i < 32767; i++)
      bed.memory.write32(0x80_0000 + 16 * i + 4, Number(BigInt.asIntN(32, command >> 32n)));
    bed.write("CMD_BUF_TAIL", 32767n * 16n);
    expect([bed.read("CMD_BUF_HEAD"), bed.violations]).toEqual([32767n * 16n, []]);
  });
});

describe("the event log", () => {
  test("takes an event, sets EventLogInt and interrupts", () => {
    const bed = testbed();
    bed.send(5);
    expect(decode(eventGeneric, bed.events()[0]!).code).toBe(eventCodes.IO_PAGE_FAULT);
    expect(bed.fabric.messages).toEqual([{ address: 0xfee0_3000n, data: 0x26 }]);
    expect(statusOf(bed).eventlogint).toBe(1);
  });

  test("interrupts once until EventLogInt is cleared", () => {
    const bed = testbed();
    bed.send(5);
    bed.send(5);
    expect(bed.fabric.messages.length).toBe(1);
    bed.write("STATUS", encode(status, { eventlogint: 1 }));
    bed.send(5);
    expect(bed.fabric.messages.length).toBe(2);
  });

  test("overflows with one place left, drops events, and runs again when restarted", () => {
    const bed = testbed();
    for (let i = 0; i < 255; i++) bed.send(5);
    expect(statusOf(bed)).toMatchObject({ eventlogrun: 1, eventoverflow: 0 });
    expect(bed.unit.fault?.logged).toBe(true);
    bed.send(5);
    expect(statusOf(bed)).toMatchObject({ eventlogrun: 0, eventoverflow: 1 });
    expect(bed.unit.fault?.logged).toBe(false);
    expect([bed.events().length, bed.fabric.messages.length]).toEqual([255, 2]);
    bed.write("EVT_LOG_HEAD", 255n * 16n);
    bed.write("STATUS", encode(status, { eventoverflow: 1, eventlogint: 1 }));
    bed.send(5);
    expect(bed.unit.fault?.logged).toBe(false);
    writeControl(bed, { events: undefined });
    writeControl(bed, {});
    bed.send(5);
    expect([bed.unit.fault?.logged, bed.read("EVT_LOG_TAIL")]).toEqual([true, 0n]);
  });

  test("is not written while EvtLogEn is 0", () => {
    const bed = testbed();
    writeControl(bed, { events: undefined });
    bed.send(5);
    expect([bed.unit.fault?.logged, bed.read("EVT_LOG_TAIL"), bed.fabric.messages]).toEqual([false, 0n, []]);
  });

  test("stands above 4 GiB too", () => {
    const bed = testbed(amdviStrict, { events: { base: 0x1_2345_6000 } });
    bed.send(5);
    expect(bed.memory.read32(0x1_2345_6000)).toBe(place.device);
    expect(decode(ringBase, bed.read("EVT_LOG_BASE"))).toEqual({ base: 0x1_2345_6000, length: 8 });
  });
});

describe("the unit's own interrupts", () => {
  test("are not sent while the MSI capability is disabled", () => {
    const bed = testbed();
    bed.unit.setMessage(undefined);
    bed.send(5);
    expect([bed.fabric.messages, statusOf(bed).eventlogint]).toEqual([[], 1]);
  });

  test("go where the x2APIC interrupt registers say while IntCapXTEn is 1", () => {
    const bed = testbed();
    const dest = 0x8765_4321;
    const capability = { dm: 1, dest: dest & 0xff_ffff, desthigh: dest >>> 24, vector: 0x33, dlm: 1 };
    bed.write("INT_CAP_XT_GEN", encode(interruptCapability, capability));
    bed.write("CONTROL", bed.read("CONTROL") | (1n << 51n));
    bed.send(5);
    expect(bed.fabric.messages).toEqual([{ address: 0x8765_4300_fee2_1004n, data: 0x133 }]);
  });

  test("of the guest log have a register of their own", () => {
    const bed = testbed(amdviStrict, { ga: true, guestMode: true });
    bed.write("INT_CAP_XT_GEN", encode(interruptCapability, { dest: 1, vector: 0x33 }));
    bed.write("INT_CAP_XT_GA", encode(interruptCapability, { dest: 2, vector: 0x44 }));
    bed.write("CONTROL", bed.read("CONTROL") | (1n << 51n));
    bed.memory.write32(place.interruptTable + 0x50, 0x85);
    bed.memory.write32(place.interruptTable + 0x58, 0x51);
    bed.send(5);
    expect(bed.fabric.messages).toEqual([{ address: 0xfee0_2000n, data: 0x44 }]);
  });
});
