import * as control from "../../spec/accessors/amdvi-control.ts";
import * as event from "../../spec/accessors/amdvi-event.ts";
import * as status from "../../spec/accessors/amdvi-status.ts";
import { type Values, decode, fromWords, validate } from "../../spec/codec.ts";
import {
  commandBytes,
  commandCodes,
  commandHeader,
  commandLayouts,
  commandNameOf,
  completionWait,
  invalidateInterruptTable,
} from "../../spec/amdvi/commands.ts";
import { type EventCode, eventCodes } from "../../spec/amdvi/events.ts";
import { extendedFeature } from "../../spec/amdvi/registers.ts";
import type { RuleId } from "../../spec/rules.ts";
import { type Observer, eventKinds } from "../event.ts";
import type { Memory } from "../memory.ts";
import type { DeviceTable } from "./device-table.ts";
import type { AmdviProfile } from "./profile.ts";
import { type RingLog, ringAddress, ringBytes } from "./ring.ts";
import { wordOf } from "./state.ts";
import type { TableCache } from "./table-cache.ts";

const baseWord = wordOf("CMD_BUF_BASE");
const headWord = wordOf("CMD_BUF_HEAD");
const tailWord = wordOf("CMD_BUF_TAIL");
const controlWord = wordOf("CONTROL");
const statusWord = wordOf("STATUS");

export interface CommandBufferParts {
  readonly state: Int32Array;
  readonly memory: Memory;
  readonly profile: AmdviProfile;
  readonly devices: DeviceTable;
  readonly tables: TableCache;
  readonly events: RingLog;
  readonly observer: Observer | null;
  /** Sends the completion interrupt. */
  readonly raise: () => void;
  /** Told of each rule that the commands break. */
  readonly onViolation: (rule: RuleId) => void;
}

/** The command buffer (AMD-Vi 3.11 §2.4): software's commands, taken in order as soon as the tail is moved. */
export class CommandBuffer {
  readonly #state: Int32Array;
  readonly #memory: Memory;
  readonly #parts: CommandBufferParts;
  readonly #words = new Int32Array(commandBytes / 4);
  readonly #known: ReadonlySet<number>;
  readonly #continues: boolean;
  readonly #alwaysRaises: boolean;
  #enabled = false;

  constructor(parts: CommandBufferParts) {
    this.#parts = parts;
    this.#state = parts.state;
    this.#memory = parts.memory;
    this.#continues = parts.profile.deviations.includes("commandsContinue");
    this.#alwaysRaises = parts.profile.deviations.includes("completionInterruptAlways");
    this.#known = knownCommands(decode(extendedFeature, parts.profile.efr));
  }

  // amdvi.command.restart: only a change to 1 starts the buffer.
  setEnabled(enabled: boolean): void {
    if (!enabled) this.#state[statusWord]! &= ~status.CMDBUFRUN_MASK;
    else if (!this.#enabled) this.#state[statusWord]! |= status.CMDBUFRUN_MASK;
    this.#enabled = enabled;
  }

  /** Takes commands until the head meets the tail, or one is in error. At most one turn round the buffer. */
  run(): void {
    const state = this.#state;
    const mask = ringBytes(state, baseWord) - 1;
    const tail = state[tailWord]! & mask;
    while ((state[headWord]! & mask) !== tail && state[statusWord]! & status.CMDBUFRUN_MASK) {
      const head = state[headWord]! & mask;
      if (!this.#take(ringAddress(state, baseWord) + head)) {
        // qemu.amdvi.commands-continue
        if (!this.#continues) return this.#stop();
      }
      state[headWord] = (head + commandBytes) & mask;
    }
  }

  #stop(): void {
    this.#state[statusWord]! &= ~status.CMDBUFRUN_MASK;
  }

  /** Takes one command; false if it was in error. */
  #take(address: number): boolean {
    // amdvi.command.read-error
    if (this.#memory.poisoned && !this.#memory.readable(address, commandBytes)) {
      return this.#fail("amdvi.command.read-error", eventCodes.COMMAND_HARDWARE_ERROR, address);
    }
    this.#memory.readWords(address, this.#words);
    const command = fromWords(this.#words, 0, 128);
    const opcode = Number(decode(commandHeader, command).opcode);
    if (!this.#known.has(opcode)) {
      return this.#fail("amdvi.command.illegal", eventCodes.ILLEGAL_COMMAND_ERROR, address);
    }
    const layout = commandLayouts[opcode];
    if (layout !== undefined && validate(layout, command).length > 0) {
      return this.#fail("amdvi.command.reserved", eventCodes.ILLEGAL_COMMAND_ERROR, address);
    }
    this.#execute(opcode, command);
    return true;
  }

  #execute(opcode: number, command: bigint): void {
    const { devices, tables, observer } = this.#parts;
    const device = Number(decode(invalidateInterruptTable, command).devid);
    switch (opcode) {
      case commandCodes.COMPLETION_WAIT:
        this.#complete(command);
        break;
      case commandCodes.INVALIDATE_DEVTAB_ENTRY:
        devices.invalidate(device);
        observer?.record(eventKinds.invalidated, -1, -1, device, 1, 0, 0);
        break;
      case commandCodes.INVALIDATE_INTERRUPT_TABLE:
        tables.invalidate(device);
        observer?.record(eventKinds.invalidated, -1, -1, device, 0, 0, 0);
        break;
      case commandCodes.INVALIDATE_IOMMU_ALL:
        devices.invalidateAll();
        tables.invalidateAll();
        observer?.record(eventKinds.invalidated, -1, -1, -1, 0, 0, 0);
        break;
    }
  }

  #complete(command: bigint): void {
    const { s, i, address } = decode(completionWait, command);
    const [, , low, high] = this.#words;
    const store = Number(address);
    // amdvi.command.completion-store
    if (s === 1) {
      this.#memory.write32(store, low!);
      this.#memory.write32(store + 4, high!);
    }
    this.#parts.observer?.record(
      eventKinds.completed,
      store | 0,
      Math.floor(store / 2 ** 32),
      low!,
      high!,
      0,
      0,
    );
    if (i !== 1) return;
    const before = this.#state[statusWord]!;
    this.#state[statusWord] = before | status.COMWAITINT_MASK;
    // amdvi.command.completion-interrupt, amdvi.event.interrupt-once, qemu.amdvi.completion-interrupt
    const allowed = control.comwaitinten(this.#state, controlWord) && !(before & status.COMWAITINT_MASK);
    if (allowed || this.#alwaysRaises) this.#parts.raise();
  }

  #fail(rule: RuleId, code: EventCode, address: number): boolean {
    this.#parts.onViolation(rule);
    this.#parts.events.append(0, code << event.CODE_SHIFT, address | 0, Math.floor(address / 2 ** 32));
    return false;
  }
}

/** The opcodes that a unit with these features takes. */
function knownCommands(features: Values<keyof typeof extendedFeature.fields>): ReadonlySet<number> {
  const known = new Set<number>();
  for (const code of Object.values(commandCodes)) {
    const name = commandNameOf(code);
    if (name === "INVALIDATE_IOMMU_ALL" && features.iasup !== 1) continue;
    if (name === "PREFETCH_IOMMU_PAGES" && features.prefsup !== 1) continue;
    if (name === "COMPLETE_PPR_REQUEST" && features.pprsup !== 1) continue;
    if ((name === "INSERT_GUEST_EVENT" || name === "RESET_VMMIO") && features.viommusup !== 1) continue;
    known.add(code);
  }
  return known;
}
