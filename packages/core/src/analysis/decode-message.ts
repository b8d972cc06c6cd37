import { type Violation, decode, hex, validate } from "../spec/codec.ts";
import type { Context } from "../spec/layout.ts";
import {
  msiAddress,
  msiAddressExtended,
  msiAmdData,
  msiData,
  msiRemappableAddress,
  msiRemappableData,
} from "../spec/msi/message.ts";
import { type RuleId, ruleOf } from "../spec/rules.ts";
import { InputError } from "../evidence/input-error.ts";
import type { Shape } from "./decode-shape.ts";
import { counted, parseHex } from "./hex-input.ts";
import { unlessReadAs } from "./readings.ts";

const lowWord = 0xffffffffn;
/** No table has more entries. */
const lastIndex = 0xffff;

/**
 * ADDRESS DATA of a message.
 * @throws InputError when they are not one address of up to 64 bits and one data of up to 32.
 */
export function readMessage(values: readonly string[], context: Context): Shape {
  if (values.length !== 2) throw new InputError(`${counted(values.length)}, expected ADDRESS DATA`);
  const [address, data] = values.map((text, i) => parseHex(text, `value ${i + 1}`));
  if (address!.digits > 16) {
    throw new InputError(`address: ${address!.digits} hex digits, expected at most 16`);
  }
  if (data!.digits > 8) throw new InputError(`data: ${data!.digits} hex digits, expected at most 8`);
  return messageShape(address!.value, data!.value, context);
}

/** What a message says. Bit 4 of the address decides between the formats. */
export function messageShape(address: bigint, data: bigint, context: Context = {}): Shape {
  return decode(msiRemappableAddress, address & lowWord).format === 1
    ? remappable(address, data)
    : compatibility(address, data, context);
}

/** The interrupt index of a remappable message: handle, plus subhandle if it is valid; it may lie past any table. */
export function indexOf(address: bigint, data: bigint): number {
  const { handle, shv } = decode(msiRemappableAddress, address & lowWord);
  const { subhandle } = decode(msiRemappableData, data);
  return Number(handle) + (shv === 1 ? Number(subhandle) : 0);
}

function remappable(address: bigint, data: bigint): Shape {
  const low = address & lowWord;
  const { shv } = decode(msiRemappableAddress, low);
  const index = indexOf(address, data);
  const violations: Violation[] = [...validate(msiRemappableAddress, low), ...aboveFourGigabytes(address)];
  if (shv === 1) violations.push(...validate(msiRemappableData, data));
  if (index > lastIndex) {
    violations.push(broken("vtd.ir.index-out-of-range", `index ${hex(index)} lies past the largest table`));
  }
  return {
    mode: "remappable",
    parts: [
      { layout: msiRemappableAddress, value: low, label: "address" },
      { layout: msiRemappableData, value: data, label: "data" },
    ],
    derived: [{ bits: "", name: "index", title: "Interrupt index", value: index }],
    violations,
    readings: [amdReading(data)],
    notes:
      shv === 1
        ? [`index ${index} of the requester's remapping table, handle plus subhandle`]
        : [`index ${index} of the requester's remapping table; SHV is 0, so the data is ignored`],
  };
}

const otherAddresses = [
  { setting: "EXTDEST=0", layout: msiAddressExtended, lifts: ["msi.address.reserved"] },
] as const;
const otherData = [{ setting: "AMDIR=0", layout: msiAmdData, lifts: ["msi.data.delivery-mode"] }] as const;

function compatibility(address: bigint, data: bigint, context: Context): Shape {
  const { dst } = decode(msiAddressExtended, address);
  const { v, dlm } = decode(msiData, data);
  const violations = [
    ...unlessReadAs({ layout: msiAddress, value: address }, otherAddresses, context),
    ...unlessReadAs({ layout: msiData, value: data }, otherData, context),
  ];
  if ((dlm === 0 || dlm === 1) && (Number(v) < 0x10 || v === 0xff)) {
    violations.push({ ...broken("msi.data.vector", `v = ${hex(v)}`), when: "AMDIR=0" });
  }
  return {
    mode: "compatibility",
    parts: [
      { layout: msiAddress, value: address, label: "address" },
      { layout: msiData, value: data, label: "data" },
    ],
    violations,
    readings: [amdReading(data), { as: "extended destination id", fields: { dst: Number(dst) } }],
    notes: ["under VT-d remapping it passes only while EIME is 0 and CFIS is 1; else it is blocked (25h)"],
  };
}

function amdReading(data: bigint): { as: string; fields: { index: number } } {
  return { as: "AMD-Vi remapping", fields: { index: Number(decode(msiAmdData, data).index) } };
}

function aboveFourGigabytes(address: bigint): Violation[] {
  return address >> 32n === 0n ? [] : [broken("msi.address.prefix", "bits 63:32 are set")];
}

function broken(rule: RuleId, found: string): Violation {
  return { rule, section: ruleOf(rule).section, found };
}
