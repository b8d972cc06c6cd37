import { InputError } from "../../evidence/input-error.ts";
import { bringUp } from "../../hardware/amdvi/bring-up.ts";
import { AmdviUnit } from "../../hardware/amdvi/unit.ts";
import { amdviProfileNamed } from "../../hardware/profile.ts";
import { IntCtl, dte, dteBytes } from "../../spec/amdvi/dte.ts";
import { irteBytes } from "../../spec/amdvi/irte.ts";
import { southBridgeIoapic } from "../../spec/amdvi/request.ts";
import * as amdData from "../../spec/accessors/msi-amd-data.ts";
import { decode, encode, toWords } from "../../spec/codec.ts";
import { amdviDecision } from "../path-amdvi.ts";
import { LiveAmdvi } from "../walkthrough/live-amdvi.ts";
import { postsToPage } from "../walkthrough/told.ts";
import { type Stage, type StageParts, check } from "./stage.ts";
import type { Trial } from "./trial.ts";

/** Where the device's table lies, if nobody says. */
const usualTable = 2 ** 51;

/** Of a request that does not tell its requester: 01:00.0. */
const usualRequester = 0x0100;

/** An AMD-Vi unit with one device and one entry. @throws InputError */
export function amdviStage(trial: Trial, { memory, fabric, observer }: StageParts): Stage {
  const { profile: name = "amdvi-strict", entry, ga = true, remapping = true, index2048 = false } = trial;
  const { guestMode = ga, xt = ga } = trial;
  const profile = amdviProfileNamed(name);
  if (profile === undefined) throw new InputError(`profile ${name.slice(0, 60)}: there is none for AMD-Vi`);
  const bytes = ga ? irteBytes.ga : irteBytes.legacy;
  check("entry", entry, bytes * 8);
  check("device table entry", trial.deviceEntry ?? 0n, dte.width);
  const isIoapic = trial.requester === null && profile.deviations.includes("unknownRequesterIsIoapic");
  const requester = isIoapic ? southBridgeIoapic : (trial.requester ?? usualRequester);
  const inttablen = index2048 ? 11 : 9;
  const usual = { v: 1, iv: 1, inttablen, intctl: IntCtl.remap, inttableptr: usualTable };
  const device = trial.deviceEntry ?? encode(dte, usual);
  const table = Number(decode(dte, device).inttableptr);
  // In the half of memory in which the device's table does not lie.
  const deviceTable = table < 2 ** 51 ? 2 ** 51 + 2 ** 50 : 2 ** 50;
  const log = deviceTable + 2 ** 30;
  memory.writeWords(deviceTable + dteBytes * requester, toWords(device, dte.width));
  const index = amdData.index(trial.data | 0);
  memory.writeWords(table + bytes * index, toWords(entry, bytes * 8));
  const unit = new AmdviUnit({ memory, fabric, profile, observer });
  const events = { base: log };
  const guestLog = { base: log + 2 ** 20 };
  if (remapping) {
    bringUp(unit, { deviceTable, ga, guestMode, x2apic: xt, index2048, events, guestLog });
  }
  const live = new LiveAmdvi(unit, memory);
  return {
    live,
    profile: profile.name,
    requester: usualRequester,
    interrupt: (to, data, from) => unit.interrupt(to, data, from),
    fault() {
      const { event, logged } = unit.fault!;
      return { name: event ?? "target abort", recorded: logged };
    },
    parts: (request, seen, ending, result) =>
      amdviDecision([{ facts: live.facts(request, seen, ending, result), ending }]),
    posting({ address, vector, notified, urgent }) {
      return {
        posting: { address, vector, notified, urgent, before: null, after: null },
        told: postsToPage({ owner: "the vCPU", vector, notified }, urgent),
      };
    },
  };
}
