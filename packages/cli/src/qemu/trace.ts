import type { Handed, Sent } from "@intremap/core";

/** What a trace says about one scene. */
export interface Traced {
  /** Null for a message that no line announced: the AMD unit's own. */
  readonly sent: (Sent | null)[];
  readonly handed: Handed[];
  /** Fault records that were written. */
  records: number;
}

/** The events that are asked for; a QEMU that has not all of them says so and goes on. */
export const tracedEvents: readonly string[] = [
  "vtd_ir_remap_msi",
  "vtd_irq_generate",
  "vtd_frr_new",
  "amdvi_ir_remap_msi",
  "apic_deliver_irq",
  "ioapic_mem_read",
];

const newline = 0x0a;
const none = -1;

/** Reads trace lines, scene by scene: each ends with the marker's line. Bytes are read in place, without strings. */
export class TraceReader {
  readonly scenes: Traced[] = [];
  readonly #onOther: (line: string) => void;
  #scene: Traced = { sent: [], handed: [], records: 0 };
  #partial: Buffer | undefined;
  /** A remapping or event line has been read whose message the APICs have not been handed yet. */
  #announced = false;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /** @param onOther told of lines that are no traced event. */
  constructor(onOther: (line: string) => void) {
    this.#onOther = onOther;
  }

  feed(chunk: Buffer): void {
    const bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk]);
    this.#partial = undefined;
    this.#bytes = bytes;
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      this.#at = start;
      this.#end = end;
      this.#line();
      start = end + 1;
    }
    if (start < bytes.length) this.#partial = Buffer.from(bytes.subarray(start));
  }

  #line(): void {
    // The names differ in these letters: vtd_iR, vtd_iRQ, vtd_Fr, amdvI, apIc, ioapIc.
    switch (this.#bytes[this.#at]) {
      case 0x76: // v
        if (this.#starts("vtd_ir_remap_msi ")) return this.#remapped();
        if (this.#starts("vtd_irq_generate ")) return this.#generated();
        if (this.#starts("vtd_frr_new ")) {
          this.#scene.records++;
          return;
        }
        break;
      case 0x61: // a
        if (this.#starts("apic_deliver_irq ")) return this.#delivered();
        if (this.#starts("amdvi_ir_remap_msi ")) return this.#remapped();
        break;
      case 0x69: // i
        if (this.#starts("ioapic_mem_read ")) {
          this.scenes.push(this.#scene);
          this.#scene = { sent: [], handed: [], records: 0 };
          return;
        }
    }
    this.#onOther(this.#bytes.toString("latin1", this.#at, this.#end));
  }

  /** `(addr A, data D) -> (addr A, data D)` */
  #remapped(): void {
    this.#number();
    this.#number();
    this.#scene.sent.push(this.#message());
    this.#announced = true;
  }

  /** `addr A data D` */
  #generated(): void {
    this.#scene.sent.push(this.#message());
    this.#announced = true;
  }

  /** An address and data. An address is read as two halves, so that it is a bigint only where it must be. */
  #message(): Sent {
    const address = this.#wide();
    return { address, data: this.#number() };
  }

  /** `dest N dest_mode N delivery_mode N vector N trigger_mode N` */
  #delivered(): void {
    if (!this.#announced) this.#scene.sent.push(null);
    this.#announced = false;
    const destination = this.#number();
    const logical = this.#number() as 0 | 1;
    const deliveryMode = this.#number();
    const vector = this.#number();
    this.#scene.handed.push({ destination, logical, deliveryMode, vector, level: this.#number() as 0 | 1 });
  }

  /** Whether the line starts with a text; moves behind it if so. */
  #starts(text: string): boolean {
    const { length } = text;
    if (this.#end - this.#at < length) return false;
    for (let i = 0; i < length; i++) if (this.#bytes[this.#at + i] !== text.charCodeAt(i)) return false;
    this.#at += length;
    return true;
  }

  /** The next number of the line that stands behind a space: decimal, or hexadecimal behind 0x; below 2^53. */
  #number(): number {
    let base = 10;
    let value = none;
    while (this.#at < this.#end && this.#bytes[this.#at] !== 0x20) this.#at++;
    this.#at++;
    // The word may be a name, which no digit starts.
    while (this.#at < this.#end && !isDigit(this.#bytes[this.#at]!)) this.#at++;
    if (this.#bytes[this.#at] === 0x30 && this.#bytes[this.#at + 1] === 0x78) {
      base = 16;
      this.#at += 2;
    }
    for (; this.#at < this.#end; this.#at++) {
      const digit = digitOf(this.#bytes[this.#at]!);
      if (digit >= base) break;
      value = (value === none ? 0 : value) * base + digit;
    }
    return value;
  }

  #wide(): bigint {
    const from = this.#at;
    const value = this.#number();
    if (value <= Number.MAX_SAFE_INTEGER) return BigInt(value);
    const text = this.#bytes.toString("latin1", from, this.#at);
    return BigInt(text.slice(text.indexOf("0x")));
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function digitOf(byte: number): number {
  if (isDigit(byte)) return byte - 0x30;
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : 16;
}
