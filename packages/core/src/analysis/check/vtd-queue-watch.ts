import * as descriptor from "../../spec/accessors/vtd-iec-invalidate.ts";
import * as queueAddress from "../../spec/accessors/vtd-queue-address.ts";
import * as queueTail from "../../spec/accessors/vtd-queue-tail.ts";
import { encode } from "../../spec/codec.ts";
import { descriptorTypes, invalidationWait } from "../../spec/vtd/descriptors.ts";

/** Bits of a wait descriptor that tell software of its completion, and such as make it do other work. */
const signals = Number(encode(invalidationWait, { if: 1, sw: 1 }));
const otherWork = Number(encode(invalidationWait, { fn: 1, pd: 1 }));
const unknown = -1;

/** Lines between which something that was queued is not to be seen. */
export interface Gap {
  readonly since: number;
  readonly at: number;
  readonly found: string;
}

/** Invalidations of the entry cache that software went on without waiting for. */
export interface Unwaited {
  readonly since: number;
  readonly at: number;
}

export interface QueueReports {
  gap(gap: Gap): void;
  unwaited(unwaited: Unwaited): void;
}

/**
 * Keeps the books of an invalidation queue: what the tail hands over against what is carried out, and what is waited
 * for. Positions count descriptors.
 *
 * A trace that lacks an invalidation shows it in one of three ways. The descriptor's lines alone are gone: fewer
 * descriptors than the tail moved by, and its wait has nothing to wait for. The whole submission is gone: the next
 * tail has moved by more than what is carried out for it. All is consistent, as a driver that left it out would have
 * it: then only a later use of the entry can tell, or a wait that was left.
 */
export class QueueWatch {
  readonly #reports: QueueReports;
  /** Descriptors seen on the whole. */
  descriptors = 0;
  /** Times the tail moved. */
  submissions = 0;
  /** The line of the last wait that tells software of its completion. */
  lastWait = 0;

  #on = false;
  #tail = unknown;
  #tailLine = 0;
  #previousTailLine = 0;
  /** Descriptors in the queue; 0 while IQA was not seen. */
  #size = 0;
  #wide = false;
  /** What the last tail handed over, and what of it was carried out. */
  #expected = unknown;
  #executed = 0;
  #lastLine = 0;
  /** A gap of this submission is reported already. */
  #reported = false;
  /** Something was done since the last wait. */
  #worked = false;
  #waitedBefore = 0;
  /** The first invalidation of the entry cache that no wait stands behind, and where software went on without one. */
  #open = 0;
  #wentOn = 0;

  constructor(reports: QueueReports) {
    this.#reports = reports;
  }

  /** The line of the first invalidation of the entry cache that no wait stands behind yet; 0 if there is none. */
  get open(): number {
    return this.#open;
  }

  /** IQA was written, which is done while the queue is off: what the tail was set to before was no submission. */
  place(low: number): void {
    this.#expected = unknown;
    this.#wide = queueAddress.dwOf(low) === 1;
    this.#size = 2 ** (queueAddress.qsOf(low) + (this.#wide ? 7 : 8));
  }

  /** QIE was set: the head is at 0, and what the tail hands over is fetched at once. */
  enable(line: number): void {
    this.#on = true;
    this.#expected = Math.max(this.#tail, 0);
    this.#tail = this.#expected;
    this.#begin(line);
    this.#waitedBefore = 0;
    this.#worked = false;
  }

  disable(): void {
    this.settle();
    this.#on = false;
  }

  reset(): void {
    this.disable();
    this.#tail = 0;
    this.#size = 0;
    this.#open = 0;
    this.#wentOn = 0;
  }

  /** IQT was written with these low 32 bits. */
  tailBytes(line: number, low: number): void {
    this.tail(line, queueTail.qtOf(low) >>> (this.#wide ? queueTail.QT_SHIFT + 1 : queueTail.QT_SHIFT));
  }

  tail(line: number, position: number): void {
    this.settle();
    let moved = this.#tail === unknown ? unknown : position - this.#tail;
    if (moved < 0) moved = this.#size === 0 || this.#tail === unknown ? unknown : moved + this.#size;
    this.#tail = position;
    this.#expected = this.#on ? moved : unknown;
    if (this.#on && moved !== 0) this.submissions++;
    this.#begin(line);
  }

  /** A descriptor was carried out. */
  descriptor(line: number, words: Int32Array): void {
    this.#on = true;
    const first = this.#executed++ === 0;
    this.descriptors++;
    this.#lastLine = line;
    const type = descriptor.type(words, 0);
    if (type !== descriptorTypes.wait) {
      this.#goneOn(first);
      this.#worked = true;
    } else if ((words[0]! & signals) !== 0) this.#wait(line, words[0]!, first);
  }

  /** A descriptor that cannot be read: it may have been any, a wait too. */
  damaged(line: number): void {
    this.#expected = unknown;
    this.#reported = true;
    this.#worked = true;
    this.lastWait = line;
    this.#open = 0;
    this.#wentOn = 0;
  }

  /** Where the tail is cannot be read. */
  misplaced(): void {
    this.#expected = unknown;
    this.#tail = unknown;
    this.#reported = true;
  }

  /** An invalidation of the entry cache was carried out. */
  invalidated(line: number): void {
    this.#worked = true;
    if (this.#open === 0) this.#open = line;
  }

  /** Software did something that takes the invalidations before it as complete. */
  goOn(line: number): void {
    if (this.#open !== 0 && this.#wentOn === 0) this.#wentOn = line;
  }

  /** All that the last tail handed over has been carried out, as QEMU does it within the write: takes stock. */
  settle(): void {
    if (this.#expected > this.#executed && !this.#reported) {
      const found =
        `the tail written in line ${this.#tailLine} hands over ${counted(this.#expected)}, ` +
        `of which ${this.#executed === 0 ? "none" : this.#executed} was carried out`;
      this.#reports.gap({
        since: this.#previousTailLine,
        at: Math.max(this.#tailLine, this.#lastLine),
        found,
      });
    }
    this.#expected = unknown;
  }

  /** Ends the trace. */
  finish(): void {
    // What was handed over last may have been cut off.
    const whole = this.#expected <= this.#executed;
    if (this.#open !== 0 && (whole || this.#wentOn !== 0)) this.#unwaited();
  }

  /** A gap that shows in the lines of one descriptor. */
  lost(line: number, found: string): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#reports.gap({ since: line, at: line, found });
  }

  #begin(line: number): void {
    this.#previousTailLine = this.#tailLine;
    this.#tailLine = line;
    this.#executed = 0;
    this.#lastLine = 0;
    this.#reported = false;
  }

  #wait(line: number, low: number, first: boolean): void {
    if ((low & otherWork) === 0 && !this.#worked && this.#waitedBefore !== 0 && !this.#reported) {
      this.#reported = true;
      const found = `a wait with nothing to wait for: nothing was invalidated since the one in line ${this.#waitedBefore}`;
      this.#reports.gap({ since: this.#waitedBefore, at: line, found });
    }
    this.#goneOn(!first);
    this.#waitedBefore = line;
    this.#worked = false;
    this.lastWait = line;
    this.#open = 0;
    this.#wentOn = 0;
  }

  /** Software went on, and the next that it queued was no wait: it did not mean to wait. */
  #goneOn(decided: boolean): void {
    if (decided && this.#wentOn !== 0) this.#unwaited();
  }

  #unwaited(): void {
    this.#reports.unwaited({ since: this.#open, at: this.#wentOn === 0 ? this.#open : this.#wentOn });
    this.#open = 0;
    this.#wentOn = 0;
  }
}

function counted(count: number): string {
  return count === 1 ? "one descriptor" : `${count} descriptors`;
}
