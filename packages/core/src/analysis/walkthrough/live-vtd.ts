import type { Memory } from "../../hardware/memory.ts";
import type { VtdUnit } from "../../hardware/vtd/unit.ts";
import * as irte from "../../spec/accessors/irte-remapped.ts";
import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { decode, toWords } from "../../spec/codec.ts";
import { maskOf } from "../../spec/layout.ts";
import { irteBytes, irtePosted, irteRemapped } from "../../spec/vtd/irte.ts";
import { type Register, afterWrite } from "../../spec/register.ts";
import type { RuleId } from "../../spec/rules.ts";
import { faultReasonOf } from "../../spec/vtd/faults.ts";
import {
  capability,
  eventControl,
  extendedCapability,
  faultRecord,
  faultStatus,
  globalStatus,
  registers,
  tableAddress,
} from "../../spec/vtd/registers.ts";
import { type VtdDecisionFacts, requestIndex } from "../decision-vtd.ts";
import type { Ending } from "../decision.ts";
import { vtdDecision } from "../path-vtd.ts";
import type { Bystanders } from "./bystanders.ts";
import { type DecidedStep, reachedSteps, looked } from "./decided.ts";
import type { Invalidation, LiveUnit, Posting, RegisterWrite, Request, SeenEntry } from "./live-unit.ts";
import { writtenRegister } from "./live-register.ts";
import type { Touched } from "./step.ts";
import type { Structure } from "./structures.ts";
import { type Told, postsToDescriptor } from "./told.ts";
import { vtdLook } from "./vtd-look.ts";

/** What writes of some registers are held against. */
const writeRules: Readonly<Record<string, RuleId>> = { GCMD: "vtd.gcmd.one-bit", IRTA: "vtd.irta.latched" };

/** Bytes of a fault record. */
const recordBytes = faultRecord.width / 8;

/** Bits of GCMD that stay on, and stand in GSTS at the same places: TE, QIE, IRE, CFI. */
const lasting = 0x8680_0000n;

/** A VT-d unit of a machine that runs. */
export class LiveVtd implements LiveUnit {
  readonly vendor = "intel";
  readonly name = "dmar0";
  readonly rules = {
    remapped: "vtd.ir.remap",
    posted: "vtd.post.atomic",
    recorded: "vtd.fault.record",
    completed: "vtd.qi.wait-status",
    ownInterrupt: "vtd.fault.event-not-remapped",
  } as const;
  readonly recording = "the unit records the fault";
  readonly #unit: VtdUnit;
  readonly #memory: Memory;
  readonly #posts: boolean;

  constructor(unit: VtdUnit, memory: Memory) {
    this.#unit = unit;
    this.#memory = memory;
    this.#posts = !unit.profile.deviations.includes("postingIgnored");
  }

  read(offset: number, width: 32 | 64): bigint {
    return this.#unit.read(offset, width);
  }

  facts(request: Request, entry: SeenEntry | undefined, result: string): VtdDecisionFacts {
    const { address, data, requester } = request;
    const { ires, cfis } = decode(globalStatus, this.read(registers.GSTS.offset, 32));
    const { irta, s, eime } = decode(tableAddress, this.read(registers.IRTA.offset, 64));
    const { irreq, eimer } = decode(extendedCapability, this.#unit.profile.extendedCapability);
    return {
      remappingEnabled: ires === 1,
      eime: eime === 1,
      compatibilityEnabled: cfis === 1,
      remappingRequired: irreq === 1,
      eimRequired: eimer === 1,
      address,
      data,
      requester,
      entries: 2 ** (Number(s) + 1),
      entryAddress: BigInt(irta) + BigInt(irteBytes * requestIndex(address, data)),
      entry: entry?.words,
      cached: entry?.cached === true,
      result,
    };
  }

  decided(
    request: Request,
    entry: SeenEntry | undefined,
    ending: Ending,
    result: string,
  ): readonly DecidedStep[] {
    const facts = this.facts(request, entry, result);
    const { steps } = vtdDecision([{ facts, ending }], this.#posts);
    return reachedSteps(steps, vtdLook(this, facts, request.source, this.#posts), this.name);
  }

  passedBy(): RuleId {
    const { ires } = decode(globalStatus, this.read(registers.GSTS.offset, 32));
    if (ires === 0) return "vtd.ir.pass-through";
    return this.#unit.profile.deviations.includes("compatibilityPasses")
      ? "qemu.vtd.compatibility-passes"
      : "vtd.ir.compatibility-pass";
  }

  blockedBy(): RuleId {
    return this.#unit.fault!.rule;
  }

  /** It has set the bit in PIR, and sets ON when it has told of it. */
  posted({ address, vector, notified, urgent }: Posting, bystanders: Bystanders): Told[] {
    const { actor } = bystanders.descriptorAt(address);
    const touched = bystanders.structures.changing(address, (words) => {
      if (notified) words[pid.ON_WORD]! |= pid.ON_MASK;
    });
    return [postsToDescriptor({ owner: actor, vector, notified }, urgent, touched)];
  }

  register(offset: number, low: number, high: number): RegisterWrite {
    if (offset === registers.GCMD.offset) {
      const { layout } = registers.GCMD;
      const before = this.read(registers.GSTS.offset, 32) & lasting;
      return writtenRegister("GCMD", this.name, layout, before, BigInt(low >>> 0), writeRules["GCMD"]);
    }
    const value = BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n);
    const number = this.#recordAt(offset);
    if (number !== undefined) return this.#recordWrite(number, offset, value);
    const found = Object.entries<Register>(registers).find(([, one]) => one.offset === offset);
    if (found === undefined) return { name: `register ${offset.toString(16)}h`, touched: [], rule: null };
    const [name, register] = found;
    const before = this.read(offset, register.width);
    let after = afterWrite(register, before, value);
    // vtd.fault.event: an event that waits goes out once it is no longer masked.
    if (register.layout === eventControl && decode(eventControl, after).im === 0) after = 0n;
    return writtenRegister(name, this.name, register.layout, before, after, writeRules[name]);
  }

  /** Of a fault record only F can be written, and that is cleared. */
  #recordWrite(number: number, offset: number, value: bigint): RegisterWrite {
    const before = this.#record(number);
    const written = value << BigInt(8 * (offset % recordBytes));
    const after = before & ~(written & maskOf(faultRecord.fields.f.parts[0]!));
    return writtenRegister(`FRCD ${number}`, this.name, faultRecord, before, after);
  }

  entry(index: number): Structure {
    const { irta } = decode(tableAddress, this.read(registers.IRTA.offset, 64));
    return {
      what: `entry ${index} of ${this.name}`,
      stop: "entry",
      actor: this.name,
      address: Number(irta) + irteBytes * index,
      words: irte.WORDS,
      layout: (words) => (this.#posts && irte.im(words, 0) === 1 ? irtePosted : irteRemapped),
      rule: ruleOfEntry,
    };
  }

  invalidated({ first, count }: Invalidation): Structure[] {
    if (first < 0) return [];
    return Array.from({ length: Math.min(count, 256) }, (_, i) => this.entry(first + i));
  }

  forgets({ first, count }: Invalidation): { readonly what: string; readonly rule: RuleId } {
    const rule = "vtd.iec.invalidate";
    if (first < 0) return { what: "every entry", rule };
    return { what: count === 1 ? `entry ${first}` : `entries ${first} to ${first + count - 1}`, rule };
  }

  unseen(_requesters: readonly number[], first: number): Structure[] {
    const { irta } = decode(tableAddress, this.read(registers.IRTA.offset, 64));
    const unseen: Structure[] = [];
    for (let index = 0; index < first; index++) {
      if (this.#memory.read32(Number(irta) + irteBytes * index) !== 0) unseen.push(this.entry(index));
    }
    return unseen;
  }

  reason(code: number): string {
    return `reason ${code.toString(16)}h`;
  }

  unrecorded(): { readonly why: string; readonly rule: RuleId } {
    const { profile } = this.#unit;
    const fault = this.#unit.fault!;
    if (profile.deviations.includes("faultsNotRecorded"))
      return { why: "this unit records none", rule: "qemu.vtd.faults-not-recorded" };
    const { qualified } = faultReasonOf(fault.reason);
    if (qualified && "entry" in fault && irte.fpd(toWords(fault.entry, 128), 0) === 1)
      return { why: "FPD=1", rule: "vtd.ir.fpd" };
    const { pfo } = decode(faultStatus, this.read(registers.FSTS.offset, 32));
    return pfo === 1
      ? { why: "PFO=1", rule: "vtd.fault.overflow" }
      : { why: "a record of this requester still has F=1", rule: "vtd.fault.compression" };
  }

  record(reason: number, requester: number): Touched[] {
    for (let record = this.#lastRecord; record >= 0; record--) {
      const value = this.#record(record);
      const { f, fr, sid } = decode(faultRecord, value);
      if (f !== 1 || Number(fr) !== reason || Number(sid) !== (requester & 0xffff)) continue;
      return [looked(`fault record ${record} of ${this.name}`, faultRecord, value, ["fr", "sid", "fi", "f"])];
    }
    return [];
  }

  get #firstRecord(): number {
    return recordBytes * Number(decode(capability, this.#unit.profile.capability).fro);
  }

  get #lastRecord(): number {
    return Number(decode(capability, this.#unit.profile.capability).nfr);
  }

  #record(number: number): bigint {
    const at = this.#firstRecord + recordBytes * number;
    return (this.read(at + 8, 64) << 64n) | this.read(at, 64);
  }

  /** The number of the fault record that a register belongs to. */
  #recordAt(offset: number): number | undefined {
    const number = Math.floor((offset - this.#firstRecord) / recordBytes);
    return number >= 0 && number <= this.#lastRecord ? number : undefined;
  }
}

function ruleOfEntry({ before, value }: Touched): RuleId | null {
  if (decode(irteRemapped, before!).p === 1) return "vtd.check.entry-changed";
  return decode(irteRemapped, value).p === 1 ? "vtd.check.first-use" : null;
}
