import { Outcome } from "../hardware/delivery.ts";
import type { AmdviProfile } from "../hardware/amdvi/profile.ts";
import { AmdviUnit } from "../hardware/amdvi/unit.ts";
import * as amdData from "../spec/accessors/msi-amd-data.ts";
import {
  commandCodes,
  invalidateDevtabEntry,
  invalidateInterruptTable,
  invalidateIommuAll,
} from "../spec/amdvi/commands.ts";
import { IntCtl, dte, dteBytes, maxIntTabLen } from "../spec/amdvi/dte.ts";
import { irteBytes } from "../spec/amdvi/irte.ts";
import { control, deviceTableBase, registers } from "../spec/amdvi/registers.ts";
import { decode, encode, toWords } from "../spec/codec.ts";
import { type RuleId, ruleOf } from "../spec/rules.ts";
import { CommandRing } from "./command-ring.ts";
import type { AmdviDecisionFacts } from "./decision-amdvi.ts";
import type { Ending } from "./decision.ts";
import { hasWideIndex, leavingRule } from "./leaving-amdvi.ts";
import { amdviDecision } from "./path-amdvi.ts";
import type { VendorPath } from "./path.ts";
import type { Unchecked } from "./replay-result.ts";
import { printDeviceFunction } from "../spec/requester.ts";
import type { TracedRequest } from "./traced-request.ts";
import { type ReplayContext, UnitReplay } from "./unit-replay.ts";

/** Where the device table is put, which the trace does not show: an address that no guest's RAM has. */
const deviceTableAddress = 2 ** 51;
const deviceTablePages = 512;
const commandRingAddress = deviceTableAddress + deviceTablePages * 4096;
/** DeviceIDs that share their low 8 bits, and so devices that the trace can tell apart by their tables. */
const devicesPerLowByte = 256;
const southBridgeIoapicLow = 0xa0;
/** Delivery modes of a message that a pass bit of the device's entry decides on, and the field. */
const passBits = { 4: "nmipass", 5: "initpass", 7: "extintpass" } as const;
/** Delivery modes up to this one have an entry. */
const arbitrated = 1;
const noTable = -1;

/** The bits of the control register that bear on the decision; its logs and its command buffer are not in the trace. */
const relevantControl = ["iommuen", "gaen", "gamen", "numintremapmode", "xten", "irtcachedis"] as const;
type Control = Partial<Record<(typeof relevantControl)[number], number>>;

/** Replays the trace of an AMD-Vi unit. */
export class AmdviReplay extends UnitReplay {
  readonly vendor = "amd";
  readonly profileName: string;
  readonly #profile: AmdviProfile;
  readonly #unit: AmdviUnit;
  readonly #commands: CommandRing;
  #control: Control = {};
  #controlSeen = false;
  #tableSet = false;
  /** By the low 8 bits of the DeviceID and the table's base: the DeviceID that stands for the device. */
  readonly #ids = new Map<number, Map<number, number>>();
  /** What was written to each device's entry: IntCtl, IV and the type that passes, as one number. */
  readonly #entries = new Map<number, number>();
  /** Devices with requests since their tables were last invalidated. */
  readonly #touched = new Set<number>();
  /** The device, table and entry of the request that is being decided. */
  #device = 0;
  #table = noTable;

  constructor(profile: AmdviProfile, context: ReplayContext) {
    super(context);
    this.#profile = profile;
    this.profileName = profile.name;
    const { memory, composer: fabric, entryWatch } = this;
    this.#unit = new AmdviUnit({
      memory,
      fabric,
      profile,
      ...(context.follow === undefined ? {} : { observer: entryWatch }),
    });
    this.#commands = new CommandRing(this.#unit, memory, commandRingAddress);
  }

  amdviControl(_line: number, low: number, high: number): void {
    this.settle();
    this.#controlSeen = true;
    const all = decode(control, BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n));
    this.#setControl(Object.fromEntries(relevantControl.map((name) => [name, Number(all[name])])));
    if (all.iommuen === 1) this.#setDeviceTable();
  }

  amdviInvalidateTable(): void {
    this.settle();
    if (!this.#profile.cacheTables) return;
    this.leaveUnchecked("invalidatedDevice");
    this.#invalidateTables();
  }

  amdviInvalidateAll(): void {
    this.settle();
    this.#invalidateTables();
  }

  amdviIntCtl(line: number, intCtl: number): void {
    const request = this.openRequest(line, "amdvi_ir_intctl");
    if (request !== undefined) request.intCtl = intCtl & IntCtl.reserved;
  }

  amdviEntryAddress(line: number, baseLow: number, baseHigh: number, offset: number): void {
    const request = this.openRequest(line, "amdvi_ir_irte");
    if (request === undefined) return;
    const base = tableAt(baseLow, baseHigh);
    if (base % (1 << tablePointerShift) !== 0 || base >= 2 ** 52 || offset >>> 0 > largestOffset) {
      this.context.skip("interrupt table entry outside every table", line);
      return;
    }
    request.addressed = true;
    request.tableLow = baseLow;
    request.tableHigh = baseHigh;
    request.offset = offset;
  }

  amdviEntry(line: number, bytes: number, word0: number, word1: number, word2: number, word3: number): void {
    const request = this.openRequest(line, "amdvi_ir_irte_val");
    if (request === undefined) return;
    request.entryBytes = bytes;
    request.setEntry(line, word0, word1, word2, word3);
  }

  amdviBlocked(line: number, reason: string): void {
    const request = this.openRequest(line, "amdvi_ir_err");
    if (request === undefined) return;
    request.blockedLine = line;
    request.blockedText = reason;
  }

  override finish(lastLine: number): void {
    super.finish(lastLine);
    // With no event that tells whether the unit was on, a request that came out changed says nothing.
    if (!this.#tableSet && !this.#controlSeen) this.withdrawDisagreements("entry");
  }

  protected override prepare(request: TracedRequest): Unchecked | undefined {
    const fetched = request.entryLine !== 0 && request.addressed;
    const type = amdData.index(request.data) >>> 8;
    if (request.intCtl < 0 && type <= arbitrated) {
      // Nothing was looked up: the unit was off, or IV was 0. Blocked there, it was for a reason that is not shown.
      if (request.outcomeLine === 0) return "deviceTable";
      if (!request.unchanged && this.#tableSet) return "entry";
    }
    if (request.intCtl === IntCtl.remap && !fetched) return "entry";
    this.#table = fetched ? tableAt(request.tableLow, request.tableHigh) : noTable;
    const device = this.#deviceFor(request.requester & 0xff, this.#table);
    if (device === undefined) return "deviceTable";
    this.#device = device;
    if (request.intCtl >= 0) this.#setDeviceTable();
    if (request.intCtl >= 0 && !this.#controlSeen) this.#setControl({ ...this.#control, iommuen: 1 });
    if (fetched) {
      const gaen = request.entryBytes === irteBytes.ga ? 1 : 0;
      if (this.#control.gaen !== gaen) this.#setControl({ ...this.#control, gaen });
      this.writeEntry(this.#table + request.offset, request.entry, request.entryBytes / 4);
    }
    const mapped = request.intCtl >= 0 || type > arbitrated;
    const passing = type > arbitrated && request.outcomeLine !== 0 ? type : 0;
    this.#writeDevice(request.intCtl < 0 ? IntCtl.remap : request.intCtl, mapped ? 1 : 0, passing);
    return undefined;
  }

  protected override decide(request: TracedRequest): Outcome {
    this.#touched.add(this.#device);
    return this.#unit.interrupt(request.addressLow, request.data, this.#device);
  }

  protected override blockedBy(): { rule: RuleId; text: string; reason: number } {
    const { rule } = this.#unit.fault!;
    return { rule, text: ruleOf(rule).text, reason: 0 };
  }

  protected override ruleOf(outcome: Outcome): RuleId {
    if (outcome === Outcome.posted) return "amdvi.ga.post";
    const { addressLow, data } = this.pending;
    return leavingRule(this.#profile, {
      enabled: this.#profile.deviations.includes("enableIgnored")
        ? this.#tableSet
        : this.#control.iommuen === 1,
      device: this.#deviceEntry(),
      data,
      wideIndex: this.#wideIndex(addressLow),
    });
  }

  protected override account(request: TracedRequest, outcome: Outcome, agreed: boolean): void {
    const used = this.#table !== noTable;
    if (used && !this.#profile.deviations.includes("tableUnbounded")) this.leaveUnchecked("tableLength");
    if (!this.#controlSeen && request.intCtl >= 0) this.leaveUnchecked("registers");
    if (request.intCtl < 0 && this.#tableSet) this.leaveUnchecked("deviceTable");
    const vector = outcome === Outcome.remapped || outcome === Outcome.passed ? this.composer.vector : -1;
    const index = used ? amdData.index(request.data) : -1;
    const { destination } = this.composer;
    this.requesters.count(request.requester & 0xff, this.#table, nameOf, index, agreed, vector, destination);
  }

  protected override rank(request: TracedRequest): number {
    if (request.entryLine === 0) return 1;
    return (request.requester & 0xff) === southBridgeIoapicLow ? 2 : 3;
  }

  protected override explain(request: TracedRequest, ending: Ending, result: string): VendorPath {
    const { addressLow, data } = request;
    const { entryWatch: watch } = this;
    const ga = this.#control.gaen === 1;
    const index = amdData.index(data);
    const facts: AmdviDecisionFacts = {
      enabled: this.#control.iommuen === 1,
      deviceTable: null,
      tableLength: null,
      ga,
      wideIndex: this.#wideIndex(addressLow),
      device: this.#deviceEntry(),
      address: addressLow,
      data,
      index,
      entryAddress: BigInt(Math.max(this.#table, 0) + index * (ga ? irteBytes.ga : irteBytes.legacy)),
      entry: watch.seen ? watch.words : undefined,
      cached: watch.cached,
      result,
    };
    return {
      requester: nameOf(request.requester & 0xff),
      requesterKnown: false,
      ...amdviDecision([{ facts, ending }]),
    };
  }

  /** The DeviceID that stands for a device; undefined when the trace shows more devices than there can be. */
  #deviceFor(lowByte: number, base: number): number | undefined {
    let tables = this.#ids.get(lowByte);
    if (tables === undefined) {
      tables = new Map();
      this.#ids.set(lowByte, tables);
    }
    let id = tables.get(base);
    if (id === undefined) {
      if (tables.size >= devicesPerLowByte) return undefined;
      id = (tables.size << 8) | lowByte;
      tables.set(base, id);
    }
    return id;
  }

  #setDeviceTable(): void {
    if (this.#tableSet) return;
    this.#tableSet = true;
    const value = encode(deviceTableBase, { base: deviceTableAddress, size: deviceTablePages - 1 });
    this.#unit.write(registers.DEV_TAB_BASE.offset, 64, value);
  }

  #setControl(fields: Control): void {
    const starts = fields.iommuen === 1 && this.#control.iommuen !== 1;
    this.#control = fields;
    this.#unit.write(registers.CONTROL.offset, 64, encode(control, { ...fields, cmdbufen: 1 }));
    // What was to be dropped while the command buffer stood still.
    if (starts)
      this.#commands.execute(encode(invalidateIommuAll, { opcode: commandCodes.INVALIDATE_IOMMU_ALL }));
  }

  /** Drops what the unit keeps; nothing is kept of requests that passed while it was off. */
  #invalidate(command: bigint): void {
    const { cacheDevices, cacheTables } = this.#profile;
    if ((cacheDevices || cacheTables) && this.#control.iommuen === 1) this.#commands.execute(command);
  }

  /** Writes the device's entry, and makes the unit read it, if it is not as it was. */
  #writeDevice(intctl: number, iv: 0 | 1, passingType: number): void {
    const key = intctl | (iv << 2) | (passingType << 3);
    if (this.#entries.get(this.#device) === key) return;
    this.#entries.set(this.#device, key);
    const pass = passBits[passingType as keyof typeof passBits];
    const value = encode(dte, {
      v: 1,
      iv,
      inttablen: maxIntTabLen,
      inttableptr: Math.max(this.#table, 0),
      intctl,
      ...(pass === undefined ? {} : { [pass]: 1 }),
    });
    const words = toWords(value, dteBytes * 8);
    this.writeEntry(deviceTableAddress + this.#device * dteBytes, words, words.length);
    const opcode = commandCodes.INVALIDATE_DEVTAB_ENTRY;
    this.#invalidate(encode(invalidateDevtabEntry, { opcode, devid: this.#device }));
  }

  #invalidateTables(): void {
    const opcode = commandCodes.INVALIDATE_INTERRUPT_TABLE;
    for (const devid of this.#touched) this.#invalidate(encode(invalidateInterruptTable, { opcode, devid }));
    this.#touched.clear();
  }

  #deviceEntry(): Int32Array {
    const words = new Int32Array(dteBytes / 4);
    this.memory.readWords(deviceTableAddress + this.#device * dteBytes, words);
    return words;
  }

  #wideIndex(address: number): boolean {
    return hasWideIndex(this.#profile, this.#control.numintremapmode ?? 0, address);
  }
}

/** DTE.IntTablePtr holds address bits 51:6. */
const tablePointerShift = 6;
/** Of the last entry of the largest table. */
const largestOffset = (2 ** maxIntTabLen - 1) * irteBytes.ga;

function tableAt(low: number, high: number): number {
  return (high >>> 0) * 2 ** 32 + (low >>> 0);
}

function nameOf(lowByte: number): string {
  return `xx:${printDeviceFunction(lowByte)}`;
}
