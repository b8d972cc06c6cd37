import * as irte from "../../spec/accessors/amdvi-irte-32.ts";
import { dte } from "../../spec/amdvi/dte.ts";
import { irte32, irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { registers } from "../../spec/amdvi/registers.ts";
import { amdviRequestAddress } from "../../spec/amdvi/request.ts";
import { fromWords } from "../../spec/codec.ts";
import type { Layout } from "../../spec/layout.ts";
import { msiAmdData } from "../../spec/msi/message.ts";
import type { AmdviDecisionFacts } from "../decision-amdvi.ts";
import { type Look, looked } from "./decided.ts";
import type { LookedAt } from "./live-unit.ts";
import type { Touched } from "./step.ts";

/** Fields of an entry that its delivery obeys. */
const obeyed = {
  remapped: ["inttype", "dm", "rqeoi", "dest", "vector"],
  guest: ["isrun", "galogintr", "dest", "gatag", "vector", "root"],
} as const;

/** Which layout an entry has; `ga`: entries of 128 bits. */
export function amdviEntryLayout(words: Int32Array, ga: boolean): Layout {
  if (!ga) return irte32;
  return irte.guestmode(words[0]!) === 1 ? irteGuest : irteRemapped128;
}

/**
 * What the ten steps of an AMD-Vi unit look at, by their numbers.
 * @param unit null where its registers and its device table are not known.
 * @param source whose message it is.
 * @param whose the device whose table it is.
 */
export function amdviLook(
  unit: LookedAt | null,
  facts: Pick<AmdviDecisionFacts, "address" | "data" | "entry" | "ga" | "index" | "device">,
  source: string,
  whose: string,
): (step: number) => Look {
  const { address, data, entry, ga } = facts;
  const register = (name: "CONTROL" | "DEV_TAB_BASE", ...fields: string[]): Touched[] => {
    if (unit === null) return [];
    const { offset, layout } = registers[name];
    return [looked(`${name} of ${unit.name}`, layout!, unit.read(offset, 64), fields)];
  };
  const sentTo = (...fields: string[]): Touched =>
    looked(`address from ${source}`, amdviRequestAddress, BigInt(address >>> 0), fields);
  const sent = (...fields: string[]): Touched =>
    looked(`data from ${source}`, msiAmdData, BigInt(data >>> 0), fields);
  const device = (...fields: string[]): Touched[] =>
    unit === null
      ? []
      : [looked(`device table entry of ${whose}`, dte, fromWords(facts.device, 0, 256), fields)];
  const table = (...fields: string[]): Touched[] => {
    if (entry === undefined) return [];
    const layout = amdviEntryLayout(entry, ga !== false);
    const what = `entry ${facts.index} of ${whose}${unit === null ? "" : ` at ${unit.name}`}`;
    const known = fields.filter((name) => Object.hasOwn(layout.fields, name));
    return [looked(what, layout, fromWords(entry, 0, layout.width), known)];
  };
  const guest = ga !== false && entry !== undefined && irte.guestmode(entry[0]!) === 1;
  const looks: readonly (() => Look)[] = [
    () => ({ stop: "unit", touched: [...register("CONTROL", "iommuen")] }),
    () => ({ stop: "unit", touched: [...register("DEV_TAB_BASE", "base", "size")] }),
    () => ({ stop: "unit", touched: [...device("v", "iv")] }),
    () => ({
      stop: "unit",
      touched: [sent("index"), sentTo("dm"), ...device("initpass", "extintpass", "nmipass")],
    }),
    () => ({ stop: "unit", touched: [...device("intctl")] }),
    () => ({ stop: "unit", touched: [sent("index"), ...device("inttablen")] }),
    () => ({
      stop: "entry",
      touched: [...table(), ...device("inttableptr"), ...register("CONTROL", "gaen")],
    }),
    () => ({ stop: "entry", touched: table("remapen") }),
    () => ({
      stop: "entry",
      touched: [...table("guestmode", "inttype"), ...register("CONTROL", "gamen", "xten")],
    }),
    () => ({ stop: "entry", touched: table(...(guest ? obeyed.guest : obeyed.remapped)) }),
  ];
  return (step) => looks[step - 1]!();
}
