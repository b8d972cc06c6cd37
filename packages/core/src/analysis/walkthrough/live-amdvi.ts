import type { AmdviUnit } from "../../hardware/amdvi/unit.ts";
import type { Memory } from "../../hardware/memory.ts";
import * as dteWords from "../../spec/accessors/amdvi-dte.ts";
import * as amdData from "../../spec/accessors/msi-amd-data.ts";
import { IntCtl, dte, dteBytes } from "../../spec/amdvi/dte.ts";
import { irteBytes } from "../../spec/amdvi/irte.ts";
import { control, deviceTableBase, registers } from "../../spec/amdvi/registers.ts";
import { decode, fromWords, hex, toWords } from "../../spec/codec.ts";
import type { Register } from "../../spec/register.ts";
import { printRequester } from "../../spec/requester.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { AmdviDecisionFacts } from "../decision-amdvi.ts";
import type { Ending } from "../decision.ts";
import { amdviDecision } from "../path-amdvi.ts";
import { amdviEntryLayout, amdviLook } from "./amdvi-look.ts";
import type { Bystanders } from "./bystanders.ts";
import { type DecidedStep, reachedSteps } from "./decided.ts";
import { writtenRegister } from "./live-register.ts";
import type { Invalidation, LiveUnit, Posting, RegisterWrite, Request, SeenEntry } from "./live-unit.ts";
import type { Touched } from "./step.ts";
import type { Structure } from "./structures.ts";
import { type Told, postsToPage } from "./told.ts";

/** Entries of a device's table that are looked at when the whole table is invalidated. */
const lookedAt = 512;

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

  /** Of a request that was blocked, the device's entry is the one that the unit used; it may have kept it. */
  facts(request: Request, entry: SeenEntry | undefined, ending: Ending, result: string): AmdviDecisionFacts {
    const { fault } = this.#unit;
    const { address, data, requester } = request;
    const { iommuen, gaen, numintremapmode } = this.#control();
    const { base, size } = this.#table();
    const device =
      ending.outcome === "blocked" && fault !== undefined && "device" in fault
        ? toWords(fault.device, dteBytes * 8)
        : this.#device(requester);
    const { inttableptr, inttablen } = decode(dte, fromWords(device, 0, dteBytes * 8));
    const index = amdData.index(data);
    const ga = gaen === 1;
    return {
      enabled: iommuen === 1,
      deviceTable:
        base === 0n
          ? null
          : { deviceId: requester & 0xffff, entries: ((Number(size) + 1) * 4096) / dteBytes },
      ga,
      wideIndex: numintremapmode === 1 && (address & 4) !== 0,
      device,
      tableLength: Number(inttablen),
      address,
      data,
      index,
      entryAddress: BigInt(inttableptr) + BigInt(index * (ga ? irteBytes.ga : irteBytes.legacy)),
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
    const facts = this.facts(request, entry, ending, result);
    const { steps } = amdviDecision([{ facts, ending }]);
    return reachedSteps(
      steps,
      amdviLook(this, facts, request.source, printRequester(request.requester & 0xffff)),
      this.name,
    );
  }

  passedBy({ requester }: Request): RuleId {
    if (this.#control().iommuen === 0) return "amdvi.ir.disabled";
    const device = this.#device(requester);
    if (dteWords.iv(device, 0) === 0) return "amdvi.ir.map-invalid";
    return dteWords.intctl(device, 0) === IntCtl.pass ? "amdvi.ir.intctl-pass" : "amdvi.ir.type-passes";
  }

  blockedBy(): RuleId {
    return this.#unit.fault!.rule;
  }

  posted({ address, vector, notified, urgent }: Posting, bystanders: Bystanders): Told[] {
    const owner = bystanders.owner(address)?.name ?? hex(address);
    return postsToPage({ owner, vector, notified }, urgent);
  }

  register(offset: number, low: number, high: number): RegisterWrite {
    const found = Object.entries<Register>(registers).find(([, one]) => one.offset === offset);
    if (found === undefined) return { name: `register ${offset.toString(16)}h`, touched: [], rule: null };
    const [name, { width, layout }] = found;
    const value = BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n);
    return writtenRegister(name, this.name, layout, this.read(offset, width), value);
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
    return "";
  }

  /** The event is in the log, which is memory. */
  record(): Touched[] {
    return [];
  }

  /** Entries of a device's table that are not all zeros. */
  #used(device: number): Structure[] {
    if (dteWords.iv(this.#device(device), 0) === 0) return [];
    const { inttablen, inttableptr } = decode(dte, fromWords(this.#device(device), 0, dteBytes * 8));
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
    };
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
