import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { amdviQemu100, amdviStrict } from "../../hardware/amdvi/profile.ts";
import { testbed } from "../../hardware/amdvi/testbed.ts";
import { Memory } from "../../hardware/memory.ts";
import { RecordingFabric } from "../../hardware/recording-fabric.ts";
import { enableRemapping } from "../../hardware/vtd/bring-up.ts";
import { vtdStrict } from "../../hardware/vtd/profile.ts";
import { VtdUnit } from "../../hardware/vtd/unit.ts";
import { registers as amdviRegisters, status } from "../../spec/amdvi/registers.ts";
import { decode, encode } from "../../spec/codec.ts";
import type { Register } from "../../spec/register.ts";
import {
  capability,
  eventControl,
  faultRecord,
  registers as vtdRegisters,
} from "../../spec/vtd/registers.ts";
import { LiveAmdvi } from "./live-amdvi.ts";
import { LiveVtd } from "./live-vtd.ts";
import type { LiveUnit } from "./live-unit.ts";

const device = 0x0100;
const compatibility = 0xfee0_0000 | 0;

/** A unit that has more faults than it can record, its event masked. */
function vtd() {
  const memory = new Memory();
  const unit = new VtdUnit({ memory, fabric: new RecordingFabric(), profile: vtdStrict });
  enableRemapping(unit, { base: 0x10_0000, size: 3 });
  for (let i = 0; i < 9; i++) unit.interrupt(compatibility, 0x31, device);
  return { unit, live: new LiveVtd(unit, memory) };
}

/** A unit that has logged an event. */
function amdvi(profile = amdviStrict) {
  const { unit, memory, send } = testbed(profile);
  send(0x14);
  return { unit, live: new LiveAmdvi(unit, memory) };
}

function shown(live: LiveUnit, offset: number, value: bigint) {
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return live.register(offset, low, high);
}

const named = (registers: Readonly<Record<string, Register>>) =>
  Object.entries(registers).filter(([name, { layout }]) => name !== "GCMD" && layout !== undefined);

describe("a register that is written is shown as it reads afterwards", () => {
  test.each([
    ...named(vtdRegisters).map(([name, register]) => [name, register, vtd] as const),
    ...named(amdviRegisters)
      // A write of these lets the unit fetch commands, or starts its logs over.
      .filter(([name]) => !/^(CMD_BUF_|CONTROL)/.test(name))
      .map(([name, register]) => [name, register, amdvi] as const),
  ])("%s", (_, { offset, width }, machine) => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << BigInt(width)) - 1n }), (value) => {
        const { unit, live } = machine();
        const before = unit.read(offset, width);
        const { touched } = shown(live, offset, value);
        unit.write(offset, width, value);
        expect(touched[0]).toMatchObject({ before, value: unit.read(offset, width) });
      }),
      { numRuns: 8 },
    );
  });

  test("FSTS, whose PFO is cleared and whose PPF follows the records", () => {
    const { live } = vtd();
    expect(shown(live, vtdRegisters.FSTS.offset, 3n).touched).toMatchObject([
      { before: 3n, value: 2n, fields: ["pfo"] },
    ]);
  });

  test("FECTL, whose waiting event goes out with the mask", () => {
    const { live } = vtd();
    expect(shown(live, vtdRegisters.FECTL.offset, 0n).touched).toMatchObject([
      { before: encode(eventControl, { im: 1, ip: 1 }), value: 0n },
    ]);
  });

  test("the status of an AMD-Vi unit, which goes on running", () => {
    const before = encode(status, { eventlogint: 1, eventlogrun: 1, cmdbufrun: 1, galogrun: 1 });
    expect(shown(amdvi().live, amdviRegisters.STATUS.offset, before).touched).toMatchObject([
      { before, value: before & ~encode(status, { eventlogint: 1 }), fields: ["eventlogint"] },
    ]);
  });

  test("the status of QEMU's, which no write changes", () => {
    const { offset } = amdviRegisters.STATUS;
    const { unit, live } = amdvi(amdviQemu100);
    const value = unit.read(offset, 64);
    expect(shown(live, offset, -1n)).toMatchObject({
      rule: "qemu.amdvi.status-kept",
      touched: [{ before: value, value, fields: [] }],
    });
  });

  test.each([
    ["its last dword", 12, 32],
    ["its upper half", 8, 64],
  ] as const)("a fault record, by its number, which loses its F through %s", (_, at, width) => {
    const { unit, live } = vtd();
    const first = 16 * Number(decode(capability, vtdStrict.capability).fro);
    const record = 2;
    const offset = first + 16 * record + at;
    const value = 1n << BigInt(width - 1);
    const { name, touched } = shown(live, offset, value);
    unit.write(offset, width, value);
    expect(name).toBe(`FRCD ${record}`);
    expect(touched).toMatchObject([{ layout: faultRecord.name, fields: ["f"] }]);
    expect(touched[0]!.value >> 64n).toBe(unit.read(first + 16 * record + 8, 64));
  });
});
