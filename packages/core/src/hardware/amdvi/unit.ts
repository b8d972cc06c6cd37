import * as control from "../../spec/accessors/amdvi-control.ts";
import * as tableBase from "../../spec/accessors/amdvi-device-table-base.ts";
import { decode, toWords } from "../../spec/codec.ts";
import { dteBytes } from "../../spec/amdvi/dte.ts";
import { faultReasons } from "../../spec/amdvi/faults.ts";
import { type RegisterName, extendedFeature, extendedFeature2 } from "../../spec/amdvi/registers.ts";
import type { RuleId } from "../../spec/rules.ts";
import { type InterruptFabric, Outcome, type RemappingUnit } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import { type Memory, chunkNumber, wordInChunk } from "../memory.ts";
import { type UnitSetup, bringUp } from "./bring-up.ts";
import { CommandBuffer } from "./command-buffer.ts";
import { DeviceTable } from "./device-table.ts";
import { FaultRecorder } from "./fault-recorder.ts";
import { type AmdviFault, faultOf } from "./fault.ts";
import { type Doorbell, GuestPoster } from "./guest-poster.ts";
import { OwnInterrupts, Source } from "./own-interrupts.ts";
import type { AmdviDeviation, AmdviProfile } from "./profile.ts";
import { dwords } from "./register-file.ts";
import { Remapper } from "./remapper.ts";
import { RingLog, eventLogPlace, guestLogPlace } from "./ring.ts";
import { Mode, Word, deviceBase, deviceIds, deviceWords, wordOf } from "./state.ts";
import { TableCache } from "./table-cache.ts";

export interface AmdviUnitOptions {
  readonly memory: Memory;
  readonly fabric: InterruptFabric;
  readonly profile: AmdviProfile;
  readonly observer?: Observer;
  /** Rung when an interrupt is posted to a virtual CPU that runs; the CPU side takes it from there. */
  readonly doorbell?: Doorbell;
  /** Told of each rule that the unit's software breaks, as it breaks it. */
  readonly onViolation?: (rule: RuleId) => void;
}

const controlWord = wordOf("CONTROL");
const deviceTableWord = wordOf("DEV_TAB_BASE");
const pageBytes = 4096;

/** Mode bits that decide in which form entries are read: a change drops what is kept (amdvi.control.mode-change). */
const formBits = Mode.ga | Mode.guestMode | Mode.xt | Mode.index2048;

/** One AMD-Vi unit (AMD-Vi 3.11): its registers, command buffer and logs, and the decision on each interrupt request. */
export class AmdviUnit implements RemappingUnit {
  readonly profile: AmdviProfile;
  readonly #state: Int32Array;
  readonly #observer: Observer | null;
  readonly #ownInterrupts: OwnInterrupts;
  readonly #events: RingLog;
  readonly #guestLog: RingLog;
  readonly #devices: DeviceTable;
  readonly #tables: TableCache;
  readonly #commands: CommandBuffer;
  readonly #faults: FaultRecorder;
  readonly #remapper: Remapper;
  /** Mode bits that the profile alone decides. */
  readonly #fixedMode: number;
  /** Mode bits that control may turn on: what EFR and EFR2 report. */
  readonly #supported: number;
  readonly #enableIgnored: boolean;
  readonly #xtByCapability: boolean;
  readonly #statusKept: boolean;

  constructor(options: AmdviUnitOptions) {
    const { memory, fabric, profile } = options;
    const state = new Int32Array(deviceBase + (profile.cacheDevices ? deviceIds * deviceWords : 0));
    const observer = options.observer ?? null;
    this.profile = profile;
    this.#state = state;
    this.#observer = observer;
    this.#ownInterrupts = new OwnInterrupts(state, fabric, observer);
    const raise = (): void => {
      // amdvi.event.interrupt
      if (control.evtinten(state, controlWord)) this.#ownInterrupts.raise(Source.general);
    };
    this.#events = new RingLog(
      state,
      memory,
      eventLogPlace,
      raise,
      profile.deviations.includes("eventLogDead"),
    );
    this.#guestLog = new RingLog(state, memory, guestLogPlace, () => {
      // amdvi.galog.interrupt
      if (control.gainten(state, controlWord)) this.#ownInterrupts.raise(Source.guestLog);
    });
    this.#devices = new DeviceTable(state, memory);
    this.#tables = profile.cacheTables ? new TableCache() : new TableCache(0);
    this.#commands = new CommandBuffer({
      state,
      memory,
      profile,
      observer,
      devices: this.#devices,
      tables: this.#tables,
      events: this.#events,
      raise: () => this.#ownInterrupts.raise(Source.general),
      onViolation: options.onViolation ?? ((): void => {}),
    });
    this.#faults = new FaultRecorder(state, this.#events, observer);
    this.#remapper = new Remapper({
      state,
      memory,
      fabric,
      observer,
      devices: this.#devices,
      tables: this.#tables,
      faults: this.#faults,
      poster: new GuestPoster(state, memory, this.#guestLog, options.doorbell ?? ((): void => {}), observer),
    });
    this.#fixedMode = fixedMode(profile);
    this.#supported = supportedMode(profile);
    this.#enableIgnored = profile.deviations.includes("enableIgnored");
    this.#xtByCapability = profile.deviations.includes("xtByCapability");
    this.#statusKept = profile.deviations.includes("statusKept");
    this.reset();
  }

  /** Power comes: registers hold what they hold at the start, the unit is off, nothing is cached. */
  reset(): void {
    const state = this.#state;
    state.fill(0);
    state.set(toWords(this.profile.efr, 64), wordOf("EFR"));
    state.set(toWords(this.profile.efr2, 64), wordOf("EFR2"));
    this.#tables.invalidateAll();
    this.#refresh();
  }

  interrupt(addressLow: number, data: number, requester: number): Outcome {
    return this.#remapper.interrupt(addressLow, data, requester);
  }

  malformed(addressLow: number, requester: number): Outcome {
    const state = this.#state;
    // amdvi.ir.malformed-request, amdvi.ir.disabled
    if (!(state[Word.mode]! & Mode.enabled)) return Outcome.passed;
    return this.#faults.record(
      faultReasons.malformedRequest.number,
      requester,
      addressLow,
      0,
      -1,
      -1,
      state,
      -1,
    );
  }

  /** The words of the device table entry that the unit keeps of a device; undefined where it keeps none. */
  keptDevice(device: number): Int32Array | undefined {
    return this.#devices.kept(device);
  }

  /** The last request that was blocked; undefined before the first. */
  get fault(): AmdviFault | undefined {
    return faultOf(this.#state);
  }

  /**
   * Reads a register; offsets that belong to none read as zero.
   * @throws RangeError when the access is not aligned to its width (amdvi.register.access).
   */
  read(offset: number, width: 32 | 64): bigint {
    checkAccess(offset, width);
    const low = BigInt(this.#dword(offset) >>> 0);
    return width === 32 ? low : (BigInt(this.#dword(offset + 4) >>> 0) << 32n) | low;
  }

  /**
   * Writes a register; offsets that belong to none ignore it. What the write starts, commands for one, has ended when
   * this returns.
   * @throws RangeError when the access is not aligned to its width (amdvi.register.access), or when the device's
   * software writes to more memory than there may be.
   */
  write(offset: number, width: 32 | 64, value: bigint): void {
    checkAccess(offset, width);
    const low = Number(BigInt.asIntN(32, value));
    const high = Number(BigInt.asIntN(32, value >> 32n));
    this.#observer?.record(eventKinds.register, offset, low, width === 64 ? high : 0, 0, 0, 0);
    this.#store(offset >> 2, low);
    if (width === 64) this.#store((offset >> 2) + 1, high);
    const name = dwords.get(offset >> 2)?.name;
    if (name !== undefined) this.#act(name);
  }

  /** What the MSI capability of the unit's PCI function is programmed with, as int32; undefined disables it. */
  setMessage(
    message: { readonly addressLow: number; readonly addressHigh: number; readonly data: number } | undefined,
  ): void {
    if (message === undefined) this.#ownInterrupts.clearMessage();
    else this.#ownInterrupts.setMessage(message.addressLow, message.addressHigh, message.data);
  }

  /** Brings the unit up by writing its registers; see {@link bringUp}. */
  enable(setup: UnitSetup): void {
    bringUp(this, setup);
  }

  #dword(offset: number): number {
    return dwords.has(offset >> 2) ? this.#state[offset >> 2]! : 0;
  }

  #store(word: number, value: number): void {
    const dword = dwords.get(word);
    if (dword === undefined) return;
    // qemu.amdvi.status-kept
    if (dword.name === "STATUS" && this.#statusKept) return;
    const before = this.#state[word]!;
    this.#state[word] = ((before & ~dword.writable) | (value & dword.writable)) & ~(value & dword.clearable);
  }

  #act(name: RegisterName): void {
    switch (name) {
      case "DEV_TAB_BASE":
        this.#moveDeviceTable();
        break;
      case "CMD_BUF_BASE":
        this.#rewind("CMD_BUF_HEAD", "CMD_BUF_TAIL");
        break;
      case "EVT_LOG_BASE":
        this.#rewind("EVT_LOG_HEAD", "EVT_LOG_TAIL");
        break;
      case "GA_LOG_BASE":
        this.#rewind("GA_LOG_HEAD", "GA_LOG_TAIL");
        break;
      case "CONTROL":
        this.#refresh();
        break;
      case "CMD_BUF_HEAD":
      case "CMD_BUF_TAIL":
        this.#commands.run();
        break;
    }
  }

  // amdvi.register.base-resets
  #rewind(head: RegisterName, tail: RegisterName): void {
    this.#state[wordOf(head)] = 0;
    this.#state[wordOf(tail)] = 0;
  }

  #moveDeviceTable(): void {
    const state = this.#state;
    const low = tableBase.baseLow(state, deviceTableWord) >>> 0;
    const address = tableBase.baseHigh(state, deviceTableWord) * 2 ** 32 + low;
    state[Word.tableChunk] = chunkNumber(address);
    state[Word.tableWord] = wordInChunk(address);
    state[Word.devices] = ((tableBase.size(state, deviceTableWord) + 1) * pageBytes) / dteBytes;
    this.#refresh();
  }

  /** Derives from control what the hot path asks for, and starts or stops buffers and logs. */
  #refresh(): void {
    const state = this.#state;
    const iommu = control.iommuen(state, controlWord) === 1;
    let wanted = 0;
    if (control.gaen(state, controlWord)) wanted |= Mode.ga;
    if (control.gaen(state, controlWord) && control.gamen(state, controlWord) === 1) wanted |= Mode.guestMode;
    if (control.xten(state, controlWord) || this.#xtByCapability) wanted |= Mode.xt;
    if (control.numintremapmode(state, controlWord) === 1) wanted |= Mode.index2048;
    // amdvi.cache.disabled
    if (!control.irtcachedis(state, controlWord)) wanted |= Mode.cacheTables;
    // amdvi.register.unsupported
    let mode = this.#fixedMode | (wanted & this.#supported);
    // qemu.amdvi.enable-ignored
    if (this.#enableIgnored ? state[Word.devices]! > 0 : iommu) mode |= Mode.enabled;
    // amdvi.control.mode-change
    if ((mode ^ state[Word.mode]!) & formBits || !(mode & Mode.cacheTables)) this.#tables.invalidateAll();
    state[Word.mode] = mode;
    this.#events.setEnabled(iommu && control.evtlogen(state, controlWord) === 1);
    this.#guestLog.setEnabled(iommu && control.galogen(state, controlWord) === 1);
    this.#commands.setEnabled(iommu && control.cmdbufen(state, controlWord) === 1);
    this.#commands.run();
  }
}

function fixedMode({ cacheDevices, validGatesInterrupts, deviations }: AmdviProfile): number {
  let mode = 0;
  if (cacheDevices) mode |= Mode.cacheDevices;
  if (validGatesInterrupts) mode |= Mode.validGates;
  for (const deviation of deviations) mode |= deviationBits[deviation] ?? 0;
  return mode;
}

/** The deviations that the decision asks for; the others are looked at elsewhere. */
const deviationBits: Readonly<Partial<Record<AmdviDeviation, number>>> = {
  deviceTableUnbounded: Mode.deviceTableUnbounded,
  deviceReservedChecked: Mode.deviceReservedChecked,
  deviceReservedWide: Mode.deviceReservedWide,
  passZeroed: Mode.passZeroed,
  tableUnbounded: Mode.tableUnbounded,
  faultsNotLogged: Mode.faultsNotLogged,
  rqEoiAsHint: Mode.rqEoiAsHint,
  triggerEdge: Mode.triggerEdge,
  smiRefused: Mode.smiRefused,
  unknownRequesterIsIoapic: Mode.unknownRequesterIsIoapic,
  entryUnchecked: Mode.entryUnchecked,
};

function supportedMode({ efr, efr2, cacheTables, deviations }: AmdviProfile): number {
  const { gasup, gamsup, xtsup } = decode(extendedFeature, efr);
  const { numintremapsup } = decode(extendedFeature2, efr2);
  let mode = cacheTables ? Mode.cacheTables : 0;
  if (gasup === 1) mode |= Mode.ga;
  // qemu.amdvi.guest-mode-refused
  if (gasup === 1 && gamsup === 1 && !deviations.includes("guestModeRefused")) mode |= Mode.guestMode;
  if (xtsup === 1) mode |= Mode.xt;
  // qemu.amdvi.type-from-data
  if (numintremapsup === 1 && !deviations.includes("typeFromData")) mode |= Mode.index2048;
  return mode;
}

function checkAccess(offset: number, width: number): void {
  if (!Number.isInteger(offset) || offset < 0 || offset % (width / 8) !== 0) {
    throw new RangeError(
      `register access: offset ${offset} is not a multiple of ${width / 8}, as ${width} bits ask for`,
    );
  }
}
