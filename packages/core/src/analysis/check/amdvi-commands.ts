import type { HazardList } from "./hazard-list.ts";
import type { NotChecked } from "./hazard.ts";
import { commandBytes } from "../../spec/amdvi/commands.ts";
import { hex } from "../../spec/codec.ts";

const smallestBuffer = 4096;
/** More executions without a line of their own than one in so many, and their events were not recorded. */
const silentShare = 50;
const silentAtLeast = 16;
/** So many invalidations behind one another are a sweep over all devices, within which requests may come. */
const sweep = 8;
const unknown = -1;

/** The commands that a driver gives: what is in the buffer, which of them invalidate, and which are waited for. */
export class AmdviCommands {
  /** INVALIDATE_INTERRUPT_TABLE and INVALIDATE_IOMMU_ALL so far. */
  tableInvalidations = 0;
  /** INVALIDATE_IOMMU_ALL so far. */
  invalidationsOfAll = 0;
  /** By the low 8 bits of a DeviceID: INVALIDATE_DEVTAB_ENTRY so far. */
  readonly deviceInvalidations: Int32Array = new Int32Array(256);
  /** Places where commands are missing from the trace, so far. */
  holes = 0;

  readonly #hazards: HazardList;
  /** By DeviceID: how often its entry was invalidated, up to 2. */
  readonly #named = new Uint8Array(65536);
  /** The end of the last command in the buffer; unknown after a restart. */
  #end = unknown;
  #base = unknown;
  /** The last execution whose command has not been named yet. */
  #silentLine = 0;
  #lastLine = 0;
  #executed = 0;
  #silent = 0;
  /** Commands since the last COMPLETION_WAIT; unknown where that cannot be told. */
  #sinceWait = unknown;
  #waitLine = 0;
  /** Invalidations that have not been waited for: how many, and the first one's line. */
  #open = 0;
  #openLine = 0;
  /** A use of what they were for, while they were open. */
  #useLine = 0;
  /** The driver went on to something else since. */
  #movedOn = 0;

  constructor(hazards: HazardList) {
    this.#hazards = hazards;
  }

  /** The buffer may begin anew: its base was written, or it was turned off. */
  restart(): void {
    this.#settleSilent();
    this.#end = unknown;
    this.#sinceWait = unknown;
  }

  execute(line: number, head: number, _tail: number, base: number): void {
    this.#settleSilent();
    this.#executed++;
    if (base === 0) {
      this.#hazards.add(
        {
          rule: "amdvi.check.command-buffer-unset",
          index: null,
          requester: null,
          at: line,
          since: null,
          found: `Commands are executed with the command buffer's base at 0.`,
          fix: "Write the buffer's address and length to CMD_BUF_BASE, and zero to its head and tail, before CmdBufEn is set.",
        },
        "unit",
      );
    }
    if (base !== this.#base) this.restart();
    const missing = this.#end === unknown ? 0 : missingBetween(this.#end, head);
    if (missing > 0) {
      this.#hole();
      this.#missing(
        line,
        this.#lastLine,
        `The buffer's head goes from ${hex(this.#end)} to ${hex(head)}: ${commandCount(missing)} between them left no line.`,
      );
    }
    this.#base = base;
    this.#end = head + commandBytes;
    this.#silentLine = line;
    this.#lastLine = line;
  }

  /** INVALIDATE_INTERRUPT_TABLE of some device. */
  invalidateTable(line: number): void {
    this.#command(line);
    this.tableInvalidations++;
    this.#opened(line);
  }

  invalidateDevice(line: number, device: number): void {
    this.#command(line);
    this.deviceInvalidations[device & 0xff]!++;
    if (this.#named[device]! < 2) this.#named[device]!++;
    this.#opened(line);
  }

  invalidateAll(line: number): void {
    this.#command(line);
    this.tableInvalidations++;
    this.invalidationsOfAll++;
    this.#opened(line);
  }

  /** A command that invalidates nothing of interrupts. */
  other(line: number): void {
    this.#command(line);
  }

  wait(line: number): void {
    // The count of what is between two waits rests on the lines of executions.
    if (this.#silentLine !== 0 && this.#sinceWait === 0) {
      this.#missing(
        line,
        this.#waitLine,
        `COMPLETION_WAIT behind COMPLETION_WAIT, with nothing between them to wait for.`,
      );
    }
    this.#silentLine = 0;
    this.#sinceWait = 0;
    this.#waitLine = line;
    this.#open = 0;
    this.#useLine = 0;
    this.#movedOn = 0;
  }

  /** An interrupt went through an entry that was not seen as it is before. */
  useOfNew(line: number): void {
    if (this.#open > 0 && this.#open < sweep && this.#useLine === 0) this.#useLine = line;
  }

  /** Something happened that does not belong to giving commands. */
  moveOn(line: number): void {
    if (this.#open > 0) this.#movedOn = line;
  }

  /**
   * The one device whose DeviceID ends in these 8 bits, as far as invalidations tell; undefined where there are several. A sweep
   * over all names every device once, the device's own set-up names it again.
   */
  deviceOf(low: number): number | undefined {
    for (const times of [2, 1]) {
      let found: number | undefined;
      for (let bus = 0; bus < 256; bus++) {
        const device = (bus << 8) | low;
        if (this.#named[device]! < times) continue;
        if (found !== undefined) return undefined;
        found = device;
      }
      if (found !== undefined) return found;
    }
    return undefined;
  }

  finish(): NotChecked[] {
    this.#settleSilent();
    if (this.#open > 0 && this.#movedOn > 0 && this.#executed > 0) {
      this.#notWaited(this.#useLine === 0 ? this.#movedOn : this.#useLine);
    }
    const notChecked: NotChecked[] = [];
    if (this.#executed === 0) {
      notChecked.push({
        rule: "amdvi.check.invalidation-missing",
        why: "the trace has no amdvi_command_exec lines",
        count: null,
      });
    } else if (this.#silent >= silentAtLeast && this.#silent * silentShare >= this.#executed) {
      this.#hazards.withdraw("amdvi.check.invalidation-missing");
      notChecked.push({
        rule: "amdvi.check.invalidation-missing",
        why: "commands were executed that left no line of their own: not all of the amdvi_*_inval events were recorded",
        count: this.#silent,
      });
    }
    if (this.tableInvalidations > 0) {
      notChecked.push({
        rule: "amdvi.check.entry-changed",
        why: "the trace does not say whose table was invalidated: each invalidation was taken for the right one",
        count: this.tableInvalidations - this.invalidationsOfAll,
      });
    }
    return notChecked;
  }

  /** A command that is not a wait has been named. */
  #command(line: number): void {
    this.#silentLine = 0;
    if (this.#sinceWait !== unknown) this.#sinceWait++;
    if (this.#useLine !== 0 && this.#executed > 0) this.#notWaited(this.#useLine);
    this.#lastLine = line;
  }

  #opened(line: number): void {
    if (this.#open === 0) this.#openLine = line;
    this.#open++;
    this.#movedOn = 0;
  }

  #settleSilent(): void {
    const line = this.#silentLine;
    if (line === 0) return;
    this.#silentLine = 0;
    this.#silent++;
    this.#hole();
    this.#missing(
      line,
      null,
      `A command was executed that left no line of its own: what it was is not known.`,
    );
  }

  /** What is missing may have been anything: an invalidation, or the wait for one. */
  #hole(): void {
    this.holes++;
    this.#sinceWait = unknown;
    this.#open = 0;
    this.#useLine = 0;
  }

  #missing(at: number, since: number | null, found: string): void {
    this.#hazards.add(
      {
        rule: "amdvi.check.invalidation-missing",
        index: null,
        requester: null,
        at,
        since,
        found,
        fix: "Queue the invalidation ahead of the COMPLETION_WAIT that is there for it, and write the tail behind both.",
      },
      "each",
    );
  }

  #notWaited(at: number): void {
    const printed = this.#open === 1 ? "an invalidation" : `${this.#open} invalidations`;
    this.#hazards.add(
      {
        rule: "amdvi.check.not-waited",
        index: null,
        requester: null,
        at,
        since: this.#openLine,
        found:
          this.#useLine === 0
            ? `The driver goes on behind ${printed} with no COMPLETION_WAIT.`
            : `An interrupt uses a new entry behind ${printed} that the driver did not wait for.`,
        fix: "Queue a COMPLETION_WAIT behind the invalidation, and go on when its store or its interrupt has come.",
      },
      "unit",
    );
    this.#open = 0;
    this.#useLine = 0;
  }
}

/** How many commands lie between the end of one and the head of the next, in a buffer of unknown length. */
function missingBetween(end: number, head: number): number {
  if (head === end) return 0;
  if (head > end) return (head - end) / commandBytes;
  let length = smallestBuffer;
  while (length < end) length *= 2;
  return (length - end + head) / commandBytes;
}

function commandCount(count: number): string {
  return count === 1 ? "one command" : `${count} commands`;
}
