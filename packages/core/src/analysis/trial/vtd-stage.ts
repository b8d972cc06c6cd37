import { InputError } from "../../evidence/input-error.ts";
import { command, setTable } from "../../hardware/vtd/bring-up.ts";
import { vtdProfileNamed } from "../../hardware/profile.ts";
import { VtdUnit } from "../../hardware/vtd/unit.ts";
import { decode, fromWords, toWords } from "../../spec/codec.ts";
import { irteBytes, irtePosted, postedDescriptor } from "../../spec/vtd/irte.ts";
import { requestIndex } from "../decision-vtd.ts";
import { vtdDecision } from "../path-vtd.ts";
import { LiveVtd } from "../walkthrough/live-vtd.ts";
import { written } from "../walkthrough/structures.ts";
import { postsToDescriptor } from "../walkthrough/told.ts";
import { type Stage, type StageParts, check } from "./stage.ts";
import type { Trial } from "./trial.ts";

/** Where the table lies: 65,536 entries. */
const table = { base: 2 ** 51, size: 15 } as const;

/** A VT-d unit with one entry. @throws InputError */
export function vtdStage(trial: Trial, { memory, fabric, observer }: StageParts): Stage {
  const { profile: name = "vtd-strict", entry, descriptor = 0n, eime = true, remapping = true } = trial;
  const profile = vtdProfileNamed(name);
  if (profile === undefined) throw new InputError(`profile ${name.slice(0, 60)}: there is none for VT-d`);
  check("entry", entry, 128);
  check("descriptor", descriptor, postedDescriptor.width);
  const unit = new VtdUnit({ memory, fabric, profile, observer });
  const address = Number(BigInt.asIntN(32, trial.address));
  const index = requestIndex(address, trial.data | 0);
  memory.writeWords(table.base + irteBytes * index, toWords(entry, 128));
  const { pda, sid } = decode(irtePosted, entry);
  const place = Number(pda);
  if (descriptor !== 0n) memory.writeWords(place, toWords(descriptor, postedDescriptor.width));
  if (remapping) {
    setTable(unit, { ...table, eime });
    if (trial.compatibility === true) command(unit, { cfi: 1 });
    command(unit, { ire: 1 });
  }
  const live = new LiveVtd(unit, memory);
  return {
    live,
    profile: profile.name,
    requester: Number(sid),
    interrupt: (to, data, requester) => unit.interrupt(to, data, requester),
    fault() {
      const { reason, recorded } = unit.fault!;
      return { name: `${reason.toString(16)}h`, recorded };
    },
    parts: (request, seen, ending, result) =>
      vtdDecision(
        [{ facts: live.facts(request, seen, result), ending }],
        !profile.deviations.includes("postingIgnored"),
      ),
    posting({ address: at, vector, notified, urgent }) {
      const words = new Int32Array(postedDescriptor.width / 32);
      memory.readWords(place, words);
      const after = fromWords(words, 0, postedDescriptor.width);
      const touched = written("the descriptor", postedDescriptor, descriptor, after);
      return {
        posting: { address: at, vector, notified, urgent, before: descriptor, after },
        told: [postsToDescriptor({ owner: "the vCPU", vector, notified }, urgent, touched)],
      };
    },
  };
}
