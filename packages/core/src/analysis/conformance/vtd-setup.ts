import {
  contextCacheInvalidate,
  descriptorHeader,
  descriptorTypes,
  interruptEntryCacheInvalidate,
  invalidationWait,
} from "../../spec/vtd/descriptors.ts";
import { encode } from "../../spec/codec.ts";
import type { Layout } from "../../spec/layout.ts";
import { irtePosted, irteRemapped } from "../../spec/vtd/irte.ts";
import { capability, extendedCapability, faultRecord, registers } from "../../spec/vtd/registers.ts";
import { changedFields, formed, layoutValue } from "./fields.ts";
import { descriptor } from "./posted-descriptor.ts";
import { registerShapes } from "./register-shapes.ts";
import {
  type Shape,
  amount,
  bit,
  either,
  entries,
  isText,
  list,
  record,
  small,
  table,
} from "../../spec/shape.ts";

const posted = layoutValue(irtePosted);
const remapped = layoutValue(irteRemapped);

/** An IRTE: posted if it says `im: 1`. */
export const irte: Shape<bigint> = (value, place) => {
  const isPosted = !isText(value) && entries(value, place)["im"] === 1;
  return (isPosted ? posted : remapped)(value, place);
};

/** As many as CAP.NFR can tell. */
const mostRecords = 256;

const index = small(16);
export const address = small(52);
export const requester = small(16);

export const irtes = table(index, irte);
export const descriptors = table(address, descriptor);
export const words = table(address, small(32));

/** FRCD0 stands for the first fault recording register, wherever CAP puts it. */
export const recordName = /^FRCD(?<number>[0-9]+)$/;
const records = Object.fromEntries(Array.from({ length: mostRecords }, (_, i) => [`FRCD${i}`, faultRecord]));

export const vtdRegisters = registerShapes(registers, records);

const descriptorForms = {
  iec: interruptEntryCacheInvalidate,
  wait: invalidationWait,
  context: contextCacheInvalidate,
} as const satisfies Record<string, Layout>;

const types: Readonly<Record<keyof typeof descriptorForms, number>> = {
  iec: descriptorTypes.interruptEntryCache,
  wait: descriptorTypes.wait,
  context: descriptorTypes.contextCache,
};

const descriptorForm = formed(descriptorForms);

/** Descriptors of the queue: hex, or the fields of one of the named forms. */
export const queued = list(
  either(isText, amount(256), (value, place) => {
    const [form, bits] = descriptorForm(value, place);
    return bits | encode(descriptorHeader, { type: types[form] });
  }),
);

export const vtdSetup = record(
  {},
  {
    enabled: bit,
    table: record({ base: address, s: small(4) }, { eime: bit, cfi: bit }),
    queue: record({ base: address }, { qs: small(3), dw: bit }),
    irtes,
    fill: record({ entries: small(17) }, {}),
    pids: descriptors,
    memory: words,
    registers: vtdRegisters.values,
    cap: changedFields(capability),
    ecap: changedFields(extendedCapability),
    hostAddressWidth: small(6),
    compression: bit,
    requester,
  },
);

export type VtdSetup = ReturnType<typeof vtdSetup>;
