import {
  completionWait,
  commandCodes,
  invalidateDevtabEntry,
  invalidateInterruptTable,
  invalidateIommuAll,
} from "../../spec/amdvi/commands.ts";
import { dte } from "../../spec/amdvi/dte.ts";
import { irte32, irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { control, extendedFeature, extendedFeature2, registers } from "../../spec/amdvi/registers.ts";
import { encode } from "../../spec/codec.ts";
import type { Layout } from "../../spec/layout.ts";
import { changedFields, formed, layoutValue } from "./fields.ts";
import { registerShapes } from "./register-shapes.ts";
import { type Shape, amount, either, isText, list, record, small, table } from "../../spec/shape.ts";

export const address = small(52);
export const requester = small(16);
export const amdviRegisters = registerShapes(registers);
export const words = table(address, small(32));
export const dtes = table(requester, layoutValue(dte));

const entryForms = { irte32, irte128: irteRemapped128, guest: irteGuest } as const;

export interface TableEntry {
  /** Of one entry; also the distance of entries. */
  readonly bytes: number;
  readonly value: bigint;
}

const entryForm = formed(entryForms);

const entry: Shape<TableEntry> = (value, place) => {
  const [form, bits] = entryForm(value, place);
  const { width }: Layout = entryForms[form];
  return { bytes: width / 8, value: form === "guest" ? bits | encode(irteGuest, { guestmode: 1 }) : bits };
};

export const irtes = table(small(11), entry);

const commandForms = {
  completionWait,
  invalidateDevtabEntry,
  invalidateInterruptTable,
  invalidateIommuAll,
} as const;

const opcodes: Readonly<Record<keyof typeof commandForms, number>> = {
  completionWait: commandCodes.COMPLETION_WAIT,
  invalidateDevtabEntry: commandCodes.INVALIDATE_DEVTAB_ENTRY,
  invalidateInterruptTable: commandCodes.INVALIDATE_INTERRUPT_TABLE,
  invalidateIommuAll: commandCodes.INVALIDATE_IOMMU_ALL,
};

const commandForm = formed(commandForms);

/** A command: hex, or the fields of one of the named forms. */
export const commands = list(
  either(isText, amount(128), (value, place) => {
    const [form, bits] = commandForm(value, place);
    return bits | encode(completionWait, { opcode: opcodes[form] });
  }),
);

const ring = record({ base: address }, { length: small(4) });

export const amdviSetup = record(
  {},
  {
    control: layoutValue(control),
    deviceTable: record({ base: address, pages: small(10) }, {}),
    /** Where the entries of `irtes` are written. */
    interruptTable: address,
    rings: record({}, { commands: ring, events: ring, guestLog: ring }),
    dtes,
    irtes,
    memory: words,
    registers: amdviRegisters.values,
    efr: changedFields(extendedFeature),
    efr2: changedFields(extendedFeature2),
    message: record({ address: amount(64), data: small(32) }, {}),
    requester,
  },
);

export type AmdviSetup = ReturnType<typeof amdviSetup>;
