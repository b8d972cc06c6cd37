import type { TraceHandler, Vendor } from "../../evidence/qemu-trace/index.ts";
import type { AmdviProfile } from "../../hardware/amdvi/profile.ts";
import * as amdData from "../../spec/accessors/msi-amd-data.ts";
import { IntCtl } from "../../spec/amdvi/dte.ts";
import { printDeviceFunction } from "../../spec/requester.ts";
import { registers } from "../../spec/amdvi/registers.ts";
import type { RuleId } from "../../spec/rules.ts";
import { AmdviCommands } from "./amdvi-commands.ts";
import { AmdviControl } from "./amdvi-control.ts";
import { AmdviEntries } from "./amdvi-entries.ts";
import { AmdviReadiness } from "./amdvi-readiness.ts";
import type { Hazard, NotChecked } from "./hazard.ts";
import type { CheckContext, TraceCheck } from "./trace-check.ts";

/** Delivery modes up to this one have an entry. */
const arbitrated = 1;
const unknown = -1;
const commandBufferBase = registers.CMD_BUF_BASE.offset;

/**
 * Checks the trace of an AMD-Vi unit. It shows no write to a table: an entry counts as changed when an interrupt finds another one
 * than the interrupt before it did.
 */
export class AmdviCheck implements TraceCheck {
  readonly vendor: Vendor = "amd";
  readonly profileName: string;
  events = 0;

  readonly #profile: AmdviProfile;
  readonly #context: CheckContext;
  readonly #commands: AmdviCommands;
  readonly #control: AmdviControl;
  readonly #entries: AmdviEntries;
  readonly #readiness: AmdviReadiness;
  /** Interrupts that went through an entry. */
  #remapped = 0;
  /** The first interrupt that passed although the unit was on; what it means is known when one is remapped. */
  #unmapped: Hazard | undefined;
  /** QEMU told KVM that tables were invalidated: what follows are lookups for its routes, not interrupts. */
  #lookups = false;

  // The request whose lines are being read; its line is 0 while there is none.
  #line = 0;
  #low = 0;
  #data = 0;
  #intCtl = unknown;
  #table = unknown;
  #offset = 0;
  readonly #entry = new Int32Array(4);

  constructor(profile: AmdviProfile, context: CheckContext) {
    this.#profile = profile;
    this.profileName = profile.name;
    this.#context = context;
    this.#commands = new AmdviCommands(context.hazards);
    this.#control = new AmdviControl(profile, context.hazards);
    this.#entries = new AmdviEntries(profile, this.#commands, context.hazards);
    this.#readiness = new AmdviReadiness(profile, this.#control, this.#commands, context.hazards);
  }

  request(line: number, _addressLow: number, _addressHigh: number, data: number, requester: number): void {
    this.#settle();
    this.events++;
    this.#line = line;
    this.#low = requester & 0xff;
    this.#data = data;
    this.#intCtl = unknown;
    this.#table = unknown;
    this.#commands.moveOn(line);
  }

  amdviIntCtl(line: number, intCtl: number): void {
    if (this.#belongs(line, "amdvi_ir_intctl")) this.#intCtl = intCtl & IntCtl.reserved;
  }

  amdviEntryAddress(line: number, baseLow: number, baseHigh: number, offset: number): void {
    if (!this.#belongs(line, "amdvi_ir_irte")) return;
    this.#table = (baseHigh >>> 0) * 2 ** 32 + (baseLow >>> 0);
    this.#offset = offset >>> 0;
  }

  amdviEntry(line: number, bytes: number, word0: number, word1: number, word2: number, word3: number): void {
    if (!this.#belongs(line, "amdvi_ir_irte_val") || this.#table === unknown) return;
    const { value: control } = this.#control;
    const entry = this.#entry;
    [entry[0], entry[1], entry[2], entry[3]] = [word0, word1, word2, word3];
    this.#remapped++;
    this.#readiness.remapped(this.#line);
    if (control?.cmdbufen !== 0) this.#entries.device(this.#line, this.#low, IntCtl.remap, this.#table);
    this.#entries.use(
      { line: this.#line, low: this.#low, table: this.#table, index: this.#offset / bytes, entry, bytes },
      {
        xten: control === undefined ? undefined : control.xten === 1 ? 1 : 0,
        gamen: control === undefined ? undefined : control.gaen === 1 && Number(control.gamen) === 1,
        lookedUp: this.#lookups,
        // With the command buffer off nothing can be invalidated, which is said once.
        cached: this.#profile.cacheTables && control?.irtcachedis !== 1 && control?.cmdbufen !== 0,
      },
    );
    // What follows belongs to the request too, and says nothing more.
    this.#line = 0;
  }

  remapped(): void {
    this.#settle();
  }

  iecNotify(): void {
    this.#settle();
    this.#lookups = true;
  }

  malformed(_line: number, method: keyof TraceHandler): void {
    if (method === "amdviIntCtl" || method === "amdviEntryAddress" || method === "amdviEntry") this.#line = 0;
  }

  amdviBlocked(): void {
    if (this.#line !== 0 && this.#intCtl !== unknown) {
      this.#entries.device(this.#line, this.#low, this.#intCtl, undefined);
    }
    this.#line = 0;
  }

  amdviRegisterWrite(line: number, offset: number, bytes: number, low: number, high: number): void {
    this.events++;
    this.#control.register(offset, bytes, low, high);
    if ((offset & ~7) === commandBufferBase) this.#commands.restart();
    this.#commands.moveOn(line);
  }

  amdviControl(line: number, low: number, high: number): void {
    this.#settle();
    this.events++;
    this.#control.write(line, low, high);
    this.#readiness.controlWritten(line);
    if (this.#control.value!.cmdbufen === 0) this.#commands.restart();
    this.#lookups = false;
    this.#commands.moveOn(line);
  }

  amdviCommand(line: number, head: number, tail: number, baseLow: number, baseHigh: number): void {
    this.#settle();
    this.events++;
    this.#lookups = false;
    this.#commands.execute(line, head, tail, (baseHigh >>> 0) * 2 ** 32 + (baseLow >>> 0));
  }

  amdviInvalidateTable(line: number): void {
    this.events++;
    this.#commands.invalidateTable(line);
  }

  amdviInvalidateDevice(line: number, device: number): void {
    this.events++;
    this.#commands.invalidateDevice(line, device);
  }

  amdviInvalidateAll(line: number): void {
    this.events++;
    this.#commands.invalidateAll(line);
  }

  amdviCompletionWait(line: number): void {
    this.events++;
    this.#commands.wait(line);
  }

  amdviOtherCommand(line: number): void {
    this.#commands.other(line);
  }

  amdviIllegalCommand(line: number, opcode: number): void {
    this.events++;
    this.#commands.other(line);
    this.#unit(
      "amdvi.command.illegal",
      line,
      `A command has the opcode ${opcode}, which there is not: a real unit stops at it, and no later invalidation is carried out.`,
      "Queue commands that EFR reports, and zero what is reserved in them.",
    );
  }

  amdviCommandUnreadable(line: number): void {
    this.events++;
    this.#commands.other(line);
    this.#unit(
      "amdvi.command.read-error",
      line,
      "A command could not be read: a real unit stops at it, and no later invalidation is carried out.",
      "Give CMD_BUF_BASE the physical address of memory that is there.",
    );
  }

  finish(_lastLine: number): readonly NotChecked[] {
    this.#settle();
    const commands = this.#commands.finish();
    this.#entries.finish();
    // A driver that remaps no interrupt at all may let them pass.
    if (this.#unmapped !== undefined && this.#remapped > 0) this.#context.hazards.add(this.#unmapped, "unit");
    const { ambiguous, forgotten } = this.#entries;
    const rows: NotChecked[] = [
      {
        rule: null,
        why: "what no interrupt used: the trace shows no write to a table, an entry is seen when an interrupt finds it",
        count: null,
      },
      {
        rule: "amdvi.ir.index-out-of-range",
        why: "IntTabLen is not in the trace",
        count: this.#remapped,
      },
      ...commands,
      ...this.#control.finish(),
    ];
    if (ambiguous > 0) {
      rows.push({
        rule: "amdvi.check.device-entry-changed",
        why: "the trace gives 8 bits of a DeviceID, and several devices end in them",
        count: ambiguous,
      });
    }
    if (forgotten > 0) {
      rows.push({
        rule: "amdvi.check.entry-changed",
        why: "the trace uses more entries than are remembered",
        count: forgotten,
      });
    }
    return rows;
  }

  /** Whether a line belongs to a request. */
  #belongs(line: number, event: string): boolean {
    if (this.#line === 0) this.#context.skip(`${event} without a request`, line);
    return this.#line !== 0;
  }

  /** Ends a request that went through no entry: it passed as it was. */
  #settle(): void {
    const line = this.#line;
    if (line === 0) return;
    this.#line = 0;
    if (amdData.index(this.#data) >>> 8 > arbitrated) return;
    const { value: control } = this.#control;
    if (this.#intCtl !== unknown) this.#entries.device(line, this.#low, this.#intCtl, undefined);
    if (control === undefined) {
      this.#control.unseen++;
      return;
    }
    if (control.iommuen === 0 || this.#intCtl === IntCtl.abort) return;
    this.#unmapped ??= {
      rule: "amdvi.check.unmapped",
      index: null,
      requester: null,
      at: line,
      since: null,
      found:
        `With IommuEn=1 an interrupt of xx:${printDeviceFunction(this.#low)} passes unmapped: ` +
        `${this.#intCtl === IntCtl.pass ? "IntCtl of its device is 01b" : "IV of its device is 0"}.`,
      fix: "Give every device an entry with IV=1 and IntCtl=10b, or 00b as long as it has no interrupt, before IommuEn is set.",
    };
  }

  #unit(rule: RuleId, at: number, found: string, fix: string): void {
    this.#context.hazards.add({ rule, index: null, requester: null, at, since: null, found, fix }, "unit");
  }
}
