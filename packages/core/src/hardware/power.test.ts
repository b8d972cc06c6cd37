import { expect, test } from "vitest";
import { registers as amdRegisters } from "../spec/amdvi/registers.ts";
import { registers } from "../spec/vtd/registers.ts";
import { bringUp } from "./amdvi/bring-up.ts";
import { amdviStrict } from "./amdvi/profile.ts";
import { AmdviUnit } from "./amdvi/unit.ts";
import { Outcome } from "./delivery.ts";
import { Memory } from "./memory.ts";
import { RecordingFabric } from "./recording-fabric.ts";
import { enableRemapping } from "./vtd/bring-up.ts";
import { vtdProfiles } from "./vtd/profile.ts";
import { VtdUnit } from "./vtd/unit.ts";

const parts = () => ({ memory: new Memory(), fabric: new RecordingFabric() });
const address = 0xfee00018 | 0;

test.each(vtdProfiles.map((profile) => [profile.name, profile] as const))(
  "%s is after a loss of power what it was at the start",
  (_, profile) => {
    const unit = new VtdUnit({ ...parts(), profile });
    const registersOf = (): bigint[] =>
      Object.values(registers).map(({ offset, width }) => unit.read(offset, width === 32 ? 32 : 64));
    const before = registersOf();
    enableRemapping(unit, { base: 0x100000, size: 7 });
    expect(unit.interrupt(address, 0, 0x18)).toBe(Outcome.blocked);
    unit.reset();
    expect(registersOf()).toEqual(before);
    expect(unit.interrupt(address, 0, 0x18)).toBe(Outcome.passed);
  },
);

test("an AMD unit is after a loss of power what it was at the start", () => {
  const { memory, fabric } = parts();
  const unit = new AmdviUnit({ memory, fabric, profile: amdviStrict });
  const registersOf = (): bigint[] => Object.values(amdRegisters).map(({ offset }) => unit.read(offset, 64));
  const before = registersOf();
  bringUp(unit, { deviceTable: 0x100000, ga: true, events: { base: 0x300000 } });
  // IV=1 with IntCtl=00 for device 18h.
  memory.write64(0x100000 + 32 * 0x18 + 16, 1n);
  expect(unit.interrupt(address, 0, 0x18)).toBe(Outcome.blocked);
  unit.reset();
  expect(registersOf()).toEqual(before);
  expect(unit.interrupt(address, 0, 0x18)).toBe(Outcome.passed);
});
