import type { AmdviDeviation } from "../../hardware/amdvi/profile.ts";
import type { AmdviUnit } from "../../hardware/amdvi/unit.ts";
import type { Memory } from "../../hardware/memory.ts";
import * as dteWords from "../../spec/accessors/amdvi-dte.ts";
import * as amdData from "../../spec/accessors/msi-amd-data.ts";
import { dte, dteBytes } from "../../spec/amdvi/dte.ts";
import { eventBytes, eventGeneric, eventLayoutOf } from "../../spec/amdvi/events.ts";
import { faultReasons } from "../../spec/amdvi/faults.ts";
import { galogBytes, galogEntry } from "../../spec/amdvi/galog.ts";
import { irte32, irteBytes, irteGuest, vapicIrr } from "../../spec/amdvi/irte.ts";
import { control, deviceTableBase, registers, ringBase, status } from "../../spec/amdvi/registers.ts";
import { southBridgeIoapic } from "../../spec/amdvi/request.ts";
import { apicRegisters } from "../../spec/apic/local-apic.ts";
import { decode, encode, fromWords, hex, toWords } from "../../spec/codec.ts";
import type { Layout } from "../../spec/layout.ts";
import { type Register, afterWrite } from "../../spec/register.ts";
import { printRequester } from "../../spec/requester.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { AmdviDecisionFacts } from "../decision-amdvi.ts";
import type { Ending } from "../decision.ts";
import { hasWideIndex, leavingRule } from "../leaving-amdvi.ts";
import { amdviDecision } from "../path-amdvi.ts";
import { amdviEntryLayout, amdviLook } from "./amdvi-look.ts";
import type { Bystanders } from "./bystanders.ts";
import { type DecidedStep, looked, reachedSteps } from "./decided.ts";
import { writtenRegister } from "./live-register.ts";
import type { Invalidation, LiveUnit, Posting, RegisterWrite, Request, SeenEntry } from "./live-unit.ts";
import type { Touched } from "./step.ts";
import type { Structure } from "./structures.ts";
import { type Told, postsToPage } from "./told.ts";

/** Entries of a device's table that are looked at when the whole table is invalidated. */
const lookedAt = 512;

/** Fields of a guest-mode entry that no invalidation follows: the rules by which each message reads them anew. */
const readAnew: Readonly<Record<string, RuleId>> = {
  isrun: "amdvi.ga.not-cached",
  dest: "amdvi.ga.not-cached",
  gatag: "amdvi.ga.not-cached",
  galogintr: "amdvi.ga.log-request-not-cached",
};

/** An AMD-Vi unit of a machine that runs. */
export class LiveAmdvi implements LiveUnit {
  readonly vendor = "amd";
  readonly name = "ivhd0";
  readonly rules = {
    remapped: "amdvi.ir.remap",
    posted: "amdvi.ga.post",
    recorded: "amdvi.event.log",
    completed: "amdvi.command.completion-store",
    ownInterrupt: "amdvi.event.not-remapped",
  } as const;
  readonly recording = "the unit logs the event";
  readonly #unit: AmdviUnit;
  readonly #memory: Memory;

  constructor(unit: AmdviUnit, memory: Memory) {
    this.#unit = unit;
    this.#memory = memory;
  }

  read(offset: number, width: 32 | 64): bigint {
    return this.#unit.read(offset, width);
  }

  /** The device's entry is the one that the unit used, which may no longer be the one in memory. */
  facts(request: Request, entry: SeenEntry | undefined, ending: Ending, result: string): AmdviDecisionFacts {
    const { fault } = this.#unit;
    const { address, data } = request;
    const { iommuen, gaen } = this.#control();
    const { base, size } = this.#table();
    const deviceId = this.#deviceId(request);
    const device =
      ending.outcome === "blocked" && fault !== undefined && "device" in fault
        ? toWords(fault.device, dteBytes * 8)
        : this.#usedDevice(deviceId);
    const { inttableptr, inttablen } = decode(dte, fromWords(device, 0, dteBytes * 8));
    const index = amdData.index(data);
    const ga = gaen === 1;
    const entryAddress = Number(inttableptr) + index * (ga ? irteBytes.ga : irteBytes.legacy);
    return {
      enabled: iommuen === 1,
      deviceTable: { deviceId, entries: base === 0n ? null : ((Number(size) + 1) * 4096) / dteBytes },
      ga,
      wideIndex: this.#hasWideIndex(request),
      device,
      tableLength: Number(inttablen),
      address,
      data,
      index,
      entryAddress: BigInt(entryAddress),
      entry: entry && ending.outcome === "posted" ? this.#anew(entry.words, entryAddress) : entry?.words,
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
    const facts = this.facts(request, entry, ending, result);
    const { steps } = amdviDecision([{ facts, ending }]);
    const whose = printRequester(this.#deviceId(request) & 0xffff);
    return reachedSteps(steps, amdviLook(this, facts, request.source, whose), this.name);
  }

  passedBy(request: Request): RuleId {
    return leavingRule(this.#unit.profile, {
      enabled: this.#does("enableIgnored") ? this.#table().base !== 0n : this.#control().iommuen === 1,
      device: this.#usedDevice(this.#deviceId(request)),
      data: request.data,
      wideIndex: this.#hasWideIndex(request),
    });
  }

  blockedBy(): RuleId {
    return this.#unit.fault!.rule;
  }

  posted({ address, vector, notified, urgent }: Posting, bystanders: Bystanders): Told[] {
    const owner = bystanders.owner(address)?.name ?? hex(address);
    const page = [this.#requested(owner, address, vector)];
    const log = urgent ? [this.#logged("GA_LOG", galogBytes, () => galogEntry, ["gatag", "devid"])] : [];
    return postsToPage({ owner, vector, notified }, urgent, { page, log });
  }

  register(offset: number, low: number, high: number): RegisterWrite {
    const found = Object.entries<Register>(registers).find(([, one]) => one.offset === offset);
    if (found === undefined) return { name: `register ${offset.toString(16)}h`, touched: [], rule: null };
    const [name, register] = found;
    const value = BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n);
    const before = this.read(offset, register.width);
    if (name === "STATUS" && this.#does("statusKept"))
      return writtenRegister(name, this.name, status, before, before, "qemu.amdvi.status-kept");
    return writtenRegister(name, this.name, register.layout, before, afterWrite(register, before, value));
  }

  entry(index: number, requester: number): Structure {
    const ga = this.#control().gaen === 1;
    const { inttableptr } = decode(dte, fromWords(this.#device(requester), 0, dteBytes * 8));
    const bytes = ga ? irteBytes.ga : irteBytes.legacy;
    return {
      what: `entry ${index} of ${printRequester(requester & 0xffff)} at ${this.name}`,
      stop: "entry",
      actor: this.name,
      address: Number(inttableptr) + bytes * index,
      words: bytes / 4,
      layout: (words) => amdviEntryLayout(words, ga),
      rule: ruleOfEntry,
    };
  }

  invalidated({ device, deviceEntry }: Invalidation): Structure[] {
    if (device < 0) return [];
    return deviceEntry ? [this.#deviceEntry(device)] : this.#used(device);
  }

  forgets({ device, deviceEntry }: Invalidation): { readonly what: string; readonly rule: RuleId } {
    const whose = printRequester(device & 0xffff);
    if (deviceEntry) return { what: `the device table entry of ${whose}`, rule: "amdvi.cache.device-table" };
    const what = device < 0 ? "every entry" : `the interrupt table of ${whose}`;
    return { what, rule: "amdvi.cache.interrupt-table" };
  }

  unseen(requesters: readonly number[]): Structure[] {
    if (this.#table().base === 0n) return [];
    return requesters.flatMap((requester) => this.#used(requester));
  }

  reason(): string {
    return this.#unit.fault!.event ?? "";
  }

  unrecorded(): { readonly why: string; readonly rule: RuleId } {
    const fault = this.#unit.fault!;
    const { suppressed } = faultReasons[fault.name];
    if (fault.event === null) return { why: "the request is aborted without an event", rule: fault.rule };
    if (this.#does("eventLogDead"))
      return { why: "this unit logs nothing", rule: "qemu.amdvi.event-log-dead" };
    if (
      this.#does("faultsNotLogged") &&
      fault.name !== "deviceTableAccess" &&
      fault.name !== "deviceReserved"
    )
      return { why: "this unit logs no fault of a message", rule: "qemu.amdvi.faults-not-logged" };
    if (suppressed !== "never" && "device" in fault && decode(dte, fault.device).ig === 1)
      return { why: "IG=1", rule: "amdvi.ir.log-suppressed" };
    if (suppressed === "entry" && "entry" in fault && decode(irte32, fault.entry).supiopf === 1)
      return { why: "SupIOPF=1", rule: "amdvi.ir.log-suppressed" };
    const { eventoverflow } = decode(status, this.read(registers.STATUS.offset, 64));
    return eventoverflow === 1
      ? { why: "EventOverflow=1", rule: "amdvi.event.overflow" }
      : { why: "EventLogRun=0", rule: "amdvi.event.log" };
  }

  record(): Touched[] {
    return [this.#logged("EVT_LOG", eventBytes, layoutOfEvent, ["code", "devid", "address"])];
  }

  /** The word of a backing page in which a vector's bit has been set. */
  #requested(owner: string, page: number, vector: number): Touched {
    const word = vector >>> 5;
    const value = BigInt(this.#memory.read32(page + vapicIrr.offset + vapicIrr.stride * word) >>> 0);
    return looked(`IRR ${word} in the backing page of ${owner}`, apicRegisters.irr.layout, value, [
      "vectors",
    ]);
  }

  /** The entry of a log that was written last. */
  #logged(
    log: "EVT_LOG" | "GA_LOG",
    bytes: number,
    layoutOf: (value: bigint) => Layout,
    fields: readonly string[],
  ): Touched {
    const { base, length } = decode(ringBase, this.read(registers[`${log}_BASE`].offset, 64));
    const size = 2 ** (Number(length) + 4);
    const at = (Number(this.read(registers[`${log}_TAIL`].offset, 64)) - bytes + size) % size;
    const words = new Int32Array(bytes / 4);
    this.#memory.readWords(Number(base) + at, words);
    const value = fromWords(words, 0, bytes * 8);
    return looked(`${log} entry ${at / bytes} of ${this.name}`, layoutOf(value), value, fields);
  }

  /** A guest-mode entry as a post obeys it: some of its fields are read from memory even where the rest is cached. */
  #anew(kept: Int32Array, address: number): Int32Array {
    const memory = new Int32Array(irteBytes.ga / 4);
    this.#memory.readWords(address, memory);
    const entry: Record<string, number | bigint> = {
      ...decode(irteGuest, fromWords(kept, 0, irteGuest.width)),
    };
    const now: Readonly<Record<string, number | bigint>> = decode(
      irteGuest,
      fromWords(memory, 0, irteGuest.width),
    );
    for (const name of Object.keys(readAnew)) entry[name] = now[name]!;
    return toWords(encode(irteGuest, entry), irteGuest.width);
  }

  /** Entries of a device's table that are not all zeros. */
  #used(device: number): Structure[] {
    const words = this.#device(device);
    if (dteWords.iv(words, 0) === 0) return [];
    const { inttablen, inttableptr } = decode(dte, fromWords(words, 0, dteBytes * 8));
    const bytes = this.#control().gaen === 1 ? irteBytes.ga : irteBytes.legacy;
    const used: Structure[] = [];
    for (let index = 0; index < Math.min(2 ** Number(inttablen), lookedAt); index++) {
      if (this.#memory.read32(Number(inttableptr) + bytes * index) !== 0)
        used.push(this.entry(index, device));
    }
    return used;
  }

  #deviceEntry(requester: number): Structure {
    return {
      what: `device table entry of ${printRequester(requester)}`,
      stop: "unit",
      actor: this.name,
      address: Number(this.#table().base) + dteBytes * requester,
      words: dteWords.WORDS,
      layout: () => dte,
      rule: () => "amdvi.check.device-entry-changed",
    };
  }

  #does(deviation: AmdviDeviation): boolean {
    return this.#unit.profile.deviations.includes(deviation);
  }

  /** The DeviceID for which the unit takes a request; -1 for none. */
  #deviceId({ requester }: Request): number {
    return requester < 0 && this.#does("unknownRequesterIsIoapic") ? southBridgeIoapic : requester;
  }

  #hasWideIndex({ address }: Request): boolean {
    return hasWideIndex(this.#unit.profile, this.#control().numintremapmode, address);
  }

  #usedDevice(deviceId: number): Int32Array {
    return this.#unit.keptDevice(deviceId) ?? this.#device(deviceId);
  }

  #control() {
    return decode(control, this.read(registers.CONTROL.offset, 64));
  }

  #table() {
    const { base, size } = decode(deviceTableBase, this.read(registers.DEV_TAB_BASE.offset, 64));
    return { base: BigInt(base), size };
  }

  #device(requester: number): Int32Array {
    const words = new Int32Array(dteWords.WORDS);
    if (requester >= 0) this.#memory.readWords(Number(this.#table().base) + dteBytes * requester, words);
    return words;
  }
}

function layoutOfEvent(event: bigint): Layout {
  return eventLayoutOf(Number(decode(eventGeneric, event).code));
}

function ruleOfEntry({ layout, fields }: Touched): RuleId {
  const rules = layout === irteGuest.name ? fields.map((name) => readAnew[name]) : [];
  if (rules.length === 0 || rules.includes(undefined)) return "amdvi.check.entry-changed";
  const log = "amdvi.ga.log-request-not-cached";
  return rules.includes(log) ? log : "amdvi.ga.not-cached";
}
