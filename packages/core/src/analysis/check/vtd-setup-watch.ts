import type { VtdProfile } from "../../hardware/vtd/profile.ts";
import * as commands from "../../spec/accessors/vtd-global-command.ts";
import * as tableAddress from "../../spec/accessors/vtd-table-address.ts";
import { decode, hex } from "../../spec/codec.ts";
import type { RuleId } from "../../spec/rules.ts";
import { irteBytes } from "../../spec/vtd/irte.ts";
import { capability, extendedCapability } from "../../spec/vtd/registers.ts";
import type { Hazard } from "./hazard.ts";

/** SFL, which newer revisions of the document no longer have. */
const setFaultLog = 1 << 29;
/** The commands that are a state, and those that act once; GSTS shows two of the latter as done. */
const states = commands.TE_MASK | commands.QIE_MASK | commands.IRE_MASK | commands.CFI_MASK;
/** QEMU's GSTS never shows CFIS: software that writes the status back there cannot keep CFI as it is. */
const statesShown = states & ~commands.CFI_MASK;
const oneShots = commands.SRTP_MASK | setFaultLog | commands.WBF_MASK | commands.SIRTP_MASK;
const doneShots = commands.SRTP_MASK | commands.SIRTP_MASK;
const pageBytes = 4096;

const shotNames: readonly (readonly [number, string])[] = [
  [commands.SRTP_MASK, "SRTP"],
  [setFaultLog, "SFL"],
  [commands.WBF_MASK, "WBF"],
  [commands.SIRTP_MASK, "SIRTP"],
];
const stateNames: readonly (readonly [number, string])[] = [
  [commands.TE_MASK, "TE"],
  [commands.QIE_MASK, "QIE"],
  [commands.IRE_MASK, "IRE"],
];

export interface SetupReports {
  hazard(hazard: Hazard): void;
  /** SIRTP took over a table: what was kept of the one before no longer counts. */
  tableSet(line: number): void;
  queueEnabled(line: number): void;
  queueDisabled(line: number): void;
}

/** Follows how software sets a unit up: GCMD, IRTA, and the order of the two. */
export class SetupWatch {
  readonly #reports: SetupReports;
  readonly #latchInvalidates: boolean;
  readonly #canExtend: boolean;
  /** GSTS, as the commands make it. */
  status = 0;
  eime = false;
  /** Where IRE was last set; 0 while the trace has not shown it. */
  enabledAt = 0;
  /** Where SIRTP was set with no global invalidation since; 0 where none is owed. */
  owedSince = 0;
  /** IRTA as last written, in two words; undefined while it was not. */
  readonly #irta = new Int32Array(tableAddress.WORDS);
  #irtaSeen = false;
  #irtaChanged = false;
  /** The last address whose alignment was looked at. */
  #aligned = -1;
  #queuePlaced = false;
  #compatibleSince = 0;
  #x2apicAt = 0;
  #x2apicJudged = false;

  constructor(profile: VtdProfile, reports: SetupReports) {
    this.#reports = reports;
    this.#latchInvalidates = decode(capability, profile.capability).esirtps === 1;
    this.#canExtend = decode(extendedCapability, profile.extendedCapability).eim === 1;
  }

  get remapping(): boolean {
    return (this.status & commands.IRE_MASK) !== 0;
  }

  /** CFI is on while remapping is: compatibility-format requests pass. */
  get compatible(): boolean {
    return this.remapping && (this.status & commands.CFI_MASK) !== 0;
  }

  /** As after a reset, but for what software has written to the registers. */
  restart(): void {
    this.status = 0;
    this.eime = false;
    this.enabledAt = 0;
    this.owedSince = 0;
    this.#compatibleSince = 0;
    this.#x2apicAt = 0;
    this.#x2apicJudged = false;
  }

  reset(): void {
    this.restart();
    this.#irta.fill(0);
    this.#irtaSeen = false;
    this.#queuePlaced = false;
  }

  /** IQA was written. */
  placeQueue(): void {
    this.#queuePlaced = true;
  }

  /** Half of IRTA, or all of it, was written. */
  writeTable(word: 0 | 1, value: number): void {
    if (this.#irta[word] !== value) this.#irtaChanged = true;
    this.#irta[word] = value;
    this.#irtaSeen = true;
  }

  /** The table as QEMU tells of it, for a trace that does not show the write to IRTA. */
  tableSeen(line: number, base: number, entries: number): void {
    if (base !== this.#aligned) this.#align(line, base, entries);
  }

  /** A processor switched to x2APIC mode. */
  x2apic(line: number): void {
    if (!this.remapping && this.#x2apicAt === 0) this.#x2apicAt = line;
  }

  /**
   * GCMD was written.
   * @param checksQueue false where the trace may not have shown the write to IQA.
   */
  command(line: number, value: number, checksQueue: boolean): void {
    const before = this.status;
    const changed = (before ^ value) & states;
    const shots = value & oneShots;
    const turnedOn = changed & value;
    const writtenBack = this.#oneBit(line, before, changed & statesShown, shots);
    this.status = (before & doneShots) | (value & states) | (shots & doneShots);
    if ((turnedOn & commands.QIE_MASK) !== 0) {
      if (checksQueue && !this.#queuePlaced) this.#queueUnset(line);
      this.#reports.queueEnabled(line);
    } else if ((changed & commands.QIE_MASK) !== 0) this.#reports.queueDisabled(line);
    const again = (writtenBack & commands.SIRTP_MASK) !== 0 && !this.#irtaChanged;
    if ((shots & commands.SIRTP_MASK) !== 0 && !again)
      this.#setTable(line, (before & commands.IRE_MASK) !== 0);
    if ((turnedOn & commands.IRE_MASK) !== 0) this.#enable(line, (shots & commands.SIRTP_MASK) !== 0);
    else if ((changed & commands.IRE_MASK) !== 0 && this.#latchInvalidates) this.#reports.tableSet(line);
    if (!this.compatible) this.#compatibleSince = 0;
    else if (this.#compatibleSince === 0) this.#compatibleSince = line;
  }

  /** Everything was invalidated. */
  invalidatedAll(): void {
    this.owedSince = 0;
  }

  /** A request arrives, or the trace ends. */
  request(line: number): void {
    if (this.#compatibleSince !== 0 && !this.eime) {
      this.#hazard({
        rule: "vtd.check.cfi",
        at: line,
        since: this.#compatibleSince,
        found: "remapping is on and CFI was left on: compatibility-format requests of any function pass",
        fix: "write GCMD with CFI=0 once remapping is on, and wait until GSTS.CFIS is 0",
      });
      this.#compatibleSince = 0;
    }
    if (this.owedSince !== 0 && this.remapping) this.#owed(line, "a request is remapped");
  }

  finish(): void {
    if (this.#compatibleSince !== 0) this.request(this.#compatibleSince);
  }

  /** One write, one change. @returns the one-shot bits that were not meant. */
  #oneBit(line: number, before: number, changed: number, shots: number): number {
    if (bits(changed) + bits(shots) <= 1) return 0;
    // What GSTS shows as done, or has no state, was read there or in a shadow and written back.
    const back = shots & (before | ~doneShots);
    if (back !== 0 && (changed !== 0 || bits(shots) > 1)) {
      this.#hazard({
        rule: "vtd.check.one-shot",
        at: line,
        found: `${named(back, shotNames)} is written back in GCMD together with ${named(changed, stateNames, shots & ~back)}`,
        fix: "mask the status with 96FFFFFFh before a bit of it is changed and it is written to GCMD",
      });
      return back;
    }
    this.#hazard({
      rule: "vtd.gcmd.one-bit",
      at: line,
      found: `one write to GCMD changes ${named(changed, stateNames, shots)}`,
      fix: "change one bit of GCMD at a time, and wait for GSTS in between",
    });
    return 0;
  }

  #setTable(line: number, enabled: boolean): void {
    this.owedSince = this.#latchInvalidates ? 0 : line;
    this.#irtaChanged = false;
    this.#reports.tableSet(line);
    if (!this.#irtaSeen) return;
    const eime = tableAddress.eime(this.#irta, 0) === 1;
    if (eime && !this.#canExtend) {
      this.#hazard({
        rule: "vtd.check.eime-unsupported",
        at: line,
        found: "IRTA is set with EIME=1, and ECAP.EIM is 0",
        fix: "set IRTA.EIME only where ECAP.EIM is 1, and stay in xAPIC mode otherwise",
      });
    }
    if (enabled && eime !== this.eime) {
      this.#hazard({
        rule: "vtd.irta.eime-change",
        at: line,
        found: `EIME goes from ${Number(this.eime)} to ${Number(eime)} while remapping is on`,
        fix: "turn remapping off before the mode of the table is changed",
      });
    }
    this.eime = eime;
    const base =
      (tableAddress.irtaHigh(this.#irta, 0) >>> 0) * 2 ** 32 + (tableAddress.irtaLow(this.#irta, 0) >>> 0);
    this.#align(line, base, 2 ** (tableAddress.s(this.#irta, 0) + 1));
  }

  #align(line: number, base: number, entries: number): void {
    this.#aligned = base;
    const bytes = Math.max(entries * irteBytes, pageBytes);
    if (base % bytes === 0) return;
    this.#hazard({
      rule: "vtd.irta.alignment",
      at: line,
      found: `the table of ${entries} entries lies at ${hex(base)}, which is no multiple of its ${bytes} bytes`,
      fix: `allocate the table at a multiple of ${hex(bytes)}`,
    });
  }

  #queueUnset(line: number): void {
    this.#hazard({
      rule: "vtd.check.qie-without-iqa",
      at: line,
      found: "QIE is set before IQA was written",
      fix: "write IQA, and IQT with 0, before QIE is set",
    });
  }

  #enable(line: number, withTable: boolean): void {
    this.enabledAt = line;
    if (this.#x2apicAt !== 0 && !this.#x2apicJudged) {
      this.#hazard({
        rule: "vtd.check.x2apic-first",
        at: this.#x2apicAt,
        found: `a processor is switched to x2APIC mode, and remapping comes on in line ${line} only`,
        fix: "enable remapping, with EIME=1, before the processors are switched to x2APIC mode",
      });
    }
    this.#x2apicJudged = true;
    if (withTable) return;
    if ((this.status & commands.SIRTP_MASK) === 0) {
      this.#hazard({
        rule: "vtd.gcmd.ire-before-sirtp",
        at: line,
        found: "IRE is set, and no table was set through SIRTP",
        fix: "write IRTA, set SIRTP, wait until GSTS.IRTPS is 1, invalidate globally, and set IRE only then",
      });
    } else if (this.owedSince !== 0) this.#owed(line, "remapping is enabled");
  }

  #owed(line: number, what: string): void {
    this.#hazard({
      rule: "vtd.iec.global-after-sirtp",
      at: line,
      since: this.owedSince,
      found: `${what} with the table that SIRTP set in line ${this.owedSince}, and nothing was invalidated globally since`,
      fix: "queue a global interrupt-entry-cache invalidation and a wait once GSTS.IRTPS is 1, before IRE is set",
    });
    this.owedSince = 0;
  }

  #hazard(parts: { rule: RuleId; at: number; since?: number; found: string; fix: string }): void {
    this.#reports.hazard({ index: null, requester: null, since: null, ...parts });
  }
}

function bits(value: number): number {
  let count = 0;
  for (let rest = value >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
  return count;
}

/** The bits by name: of states, and of commands that act once. */
function named(value: number, names: readonly (readonly [number, string])[], shots = 0): string {
  const words = [
    ...names.filter(([bit]) => (value & bit) !== 0),
    ...shotNames.filter(([bit]) => (shots & bit) !== 0),
  ].map(([, name]) => name);
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)!}`;
}
