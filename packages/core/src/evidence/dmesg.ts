import { type BootMessage, bootMatchers } from "./boot-message.ts";
import { type AmdviDteWord, type AmdviEvent, amdviMatchers } from "./dmesg-amdvi.ts";
import {
  type FaultHead,
  type FaultTail,
  type VtdFault,
  type VtdFaultStatus,
  type VtdQueueDescriptor,
  type VtdQueueError,
  vtdMatchers,
} from "./dmesg-vtd.ts";
import { type Matcher, linesOf, matchLine } from "./log-line.ts";
import { type MsiMessage, type MsiPart, type PastedRecord, pastedMatchers } from "./pasted.ts";
import { type QemuWarning, qemuMatchers } from "./qemu-message.ts";

/** The device table entry that Linux prints in four lines. */
export interface AmdviDte {
  readonly kind: "amdvi-dte";
  /** The first of the four. */
  readonly line: number;
  /** 256 bits. */
  readonly entry: bigint;
}

/** A message about interrupt remapping, or a table row or message that somebody pasted. */
export type LogRecord =
  | VtdFault
  | VtdFaultStatus
  | VtdQueueError
  | VtdQueueDescriptor
  | AmdviEvent
  | AmdviDte
  | QemuWarning
  | BootMessage
  | Exclude<PastedRecord, MsiPart>;

type Piece = LogRecord | FaultHead | FaultTail | AmdviDteWord | MsiPart;

const matchers: readonly Matcher<Piece>[] = [
  ...vtdMatchers,
  ...amdviMatchers,
  ...qemuMatchers,
  ...bootMatchers,
  ...pastedMatchers,
];

/** Lines within which the second part of a fault is taken as the first one's. */
const reach = 3;

/** Puts together what a program printed in several lines. */
class Assembler {
  #head: FaultHead | undefined;
  #dte: AmdviDteWord[] = [];
  #message: MsiPart[] = [];

  *add(piece: Piece): Generator<LogRecord> {
    switch (piece.kind) {
      case "fault-head":
        yield* this.flush();
        this.#head = piece;
        break;
      case "fault-tail":
        yield this.#complete(piece);
        break;
      case "amdvi-dte-word":
        yield* this.#dteWord(piece);
        break;
      case "msi-part":
        yield* this.#messagePart(piece);
        break;
      default:
        yield piece;
    }
  }

  /** Gives up on a first part that stands more than `reach` lines above. */
  *at(line: number): Generator<LogRecord> {
    if (this.#head !== undefined && line - this.#head.line > reach) yield* this.flush();
  }

  /** A first part whose second one never came. */
  *flush(): Generator<LogRecord> {
    if (this.#head === undefined) return;
    const head = this.#head;
    this.#head = undefined;
    yield { ...head, kind: "vtd-fault", reason: null, form: null, text: "" };
  }

  #complete(tail: FaultTail): VtdFault {
    const head = this.#head;
    this.#head = undefined;
    if (head === undefined) {
      return {
        ...tail,
        kind: "vtd-fault",
        printedAs: "interrupt",
        direction: null,
        requester: null,
        info: null,
      };
    }
    return { ...tail, ...head, kind: "vtd-fault" };
  }

  *#dteWord(piece: AmdviDteWord): Generator<LogRecord> {
    if (piece.at === 0) this.#dte = [];
    if (piece.at !== this.#dte.length) return;
    this.#dte.push(piece);
    if (this.#dte.length < 4) return;
    const entry = this.#dte.reduceRight((entry, { value }) => (entry << 64n) | value, 0n);
    yield { kind: "amdvi-dte", line: this.#dte[0]!.line, entry };
    this.#dte = [];
  }

  *#messagePart(piece: MsiPart): Generator<LogRecord> {
    if (piece.part === "address_hi") this.#message = [];
    this.#message.push(piece);
    if (piece.part !== "msg_data") return;
    const message = assembleMessage(this.#message);
    this.#message = [];
    if (message !== undefined) yield message;
  }
}

function assembleMessage(parts: readonly MsiPart[]): MsiMessage | undefined {
  const [high, low, data] = parts;
  if (high?.part !== "address_hi" || low?.part !== "address_lo" || data?.part !== "msg_data")
    return undefined;
  return {
    kind: "msi-message",
    line: high.line,
    address: (high.value << 32n) | low.value,
    data: data.value,
  };
}

/**
 * Reads messages about interrupt remapping from a log, a terminal or a mail: kernel and Xen faults of every era, QEMU's
 * warnings, debugfs rows, lspci. Whatever stands before a message on its line is passed over; other lines yield
 * nothing.
 */
export function* readLog(text: string): Generator<LogRecord> {
  const assembler = new Assembler();
  for (const line of linesOf(text)) {
    yield* assembler.at(line.number);
    for (const piece of matchLine(matchers, line)) yield* assembler.add(piece);
  }
  yield* assembler.flush();
}
