import * as irte from "../../spec/accessors/irte-remapped.ts";
import * as requestAddress from "../../spec/accessors/msi-remappable-address.ts";
import { fromWords } from "../../spec/codec.ts";
import { msiAddress, msiData, msiRemappableAddress, msiRemappableData } from "../../spec/msi/message.ts";
import { irtePosted, irteRemapped } from "../../spec/vtd/irte.ts";
import { type RegisterName, registers } from "../../spec/vtd/registers.ts";
import type { VtdDecisionFacts } from "../decision-vtd.ts";
import { requestIndex } from "../decision-vtd.ts";
import { type Look, looked } from "./decided.ts";
import type { LookedAt } from "./live-unit.ts";
import type { Touched } from "./step.ts";

/** Fields of an entry that its delivery obeys. */
const obeyed = {
  remapped: ["im", "v", "dst", "dm", "dlm", "tm", "rh"],
  posted: ["im", "vv", "pda", "urg"],
} as const;

/**
 * What the ten steps of a VT-d unit look at, by their numbers.
 * @param unit null where its registers are not known.
 * @param source whose message it is.
 * @param posts the unit looks at the entry's IM bit.
 */
export function vtdLook(
  unit: LookedAt | null,
  facts: Pick<VtdDecisionFacts, "address" | "data" | "entry" | "remappingEnabled">,
  source: string,
  posts: boolean,
): (step: number) => Look {
  const { address, data, entry } = facts;
  const remappable = requestAddress.format(address) === 1 && facts.remappingEnabled !== false;
  const register = (name: RegisterName & ("GSTS" | "ECAP" | "IRTA"), ...fields: string[]): Touched[] => {
    if (unit === null) return [];
    const { offset, width, layout } = registers[name];
    return [looked(`${name} of ${unit.name}`, layout!, unit.read(offset, width), fields)];
  };
  const place = unit === null ? "" : ` of ${unit.name}`;
  const sentTo = (...fields: string[]): Touched =>
    looked(
      `address from ${source}`,
      remappable ? msiRemappableAddress : msiAddress,
      BigInt(address >>> 0),
      fields,
    );
  const sent = (...fields: string[]): Touched =>
    looked(`data from ${source}`, remappable ? msiRemappableData : msiData, BigInt(data >>> 0), fields);
  const posted = posts && entry !== undefined && irte.im(entry, 0) === 1;
  const table = (...fields: string[]): Touched[] =>
    entry === undefined
      ? []
      : [
          looked(
            `entry ${requestIndex(address, data)}${place}`,
            posted ? irtePosted : irteRemapped,
            fromWords(entry, 0, 128),
            fields,
          ),
        ];
  const subhandle = requestAddress.shv(address) === 1 ? [sent("subhandle")] : [];
  const looks: readonly (() => Look)[] = [
    () => ({ stop: "unit", touched: [...register("GSTS", "ires"), ...register("ECAP", "irreq")] }),
    () => ({ stop: "unit", touched: [...register("ECAP", "eimer"), ...register("IRTA", "eime")] }),
    () => ({
      stop: "unit",
      touched: remappable
        ? [sentTo("format")]
        : [sentTo("format"), ...register("GSTS", "cfis"), ...register("IRTA", "eime")],
    }),
    () => ({ stop: "unit", touched: [sentTo("shv"), ...(subhandle.length === 0 ? [] : [sent()])] }),
    () => ({ stop: "unit", touched: [sentTo("handle", "shv"), ...subhandle, ...register("IRTA", "s")] }),
    () => ({ stop: "entry", touched: [...table(), ...register("IRTA", "irta")] }),
    () => ({ stop: "entry", touched: table("p", "fpd") }),
    () => ({ stop: "entry", touched: table("svt", "sq", "sid") }),
    () => ({ stop: "entry", touched: table(...(posted ? ["im", "vv", "pda"] : ["im", "dlm", "dst"])) }),
    () => ({ stop: "entry", touched: table(...(posted ? obeyed.posted : obeyed.remapped)) }),
  ];
  return (step) => looks[step - 1]!();
}
