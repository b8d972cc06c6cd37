import { Check } from "../check.ts";
import type { CheckResult } from "../hazard.ts";

/** Descriptors of the queue that {@link TracedDriver} sets up. */
const queueSize = 256;
const waitStatus = "0x1046004";

/** Checks lines as one log. */
export function checkLines(lines: readonly string[], profile?: string): CheckResult {
  const check = new Check({ profile });
  check.feed(Uint8Array.from(`${lines.join("\n")}\n`, (char) => char.charCodeAt(0)));
  return check.finish();
}

/** Writes the trace that QEMU would have written of a driver. */
export class TracedDriver {
  readonly lines: string[] = [];
  status = 0;
  #tail = 0;

  /** The number of the last line. */
  get line(): number {
    return this.lines.length;
  }

  write(offset: number, value: number, bytes = 4): this {
    return this.#add(`vtd_reg_write addr ${hex(offset)} size ${hex(bytes)} value ${hex(value)}`);
  }

  /** Writes GCMD; what acts once is taken out of the status that follows, but shown as done. */
  command(value: number): this {
    this.write(0x18, value);
    this.#add(`vtd_reg_write_gcmd status ${hex(this.status)} value ${hex(value)}`);
    // GSTS: RTPS and IRTPS stay, WBF and SFL do not, CFIS is never shown.
    this.status = ((value & 0xc7000000) | (this.status & 0x41000000)) >>> 0;
    return this;
  }

  /** One submission to the queue: `g` all entries, a number one of them, `w` a wait, `t` the IOTLB. */
  submit(...descriptors: (number | "g" | "w" | "t")[]): this {
    const from = this.#tail;
    this.#tail = (this.#tail + descriptors.length) % queueSize;
    this.write(0x88, this.#tail * 16);
    this.#add(`vtd_inv_qi_tail write tail ${this.#tail}`, "vtd_inv_qi_fetch ");
    descriptors.forEach((one, i) => {
      this.#add(`vtd_inv_qi_head read head ${(from + i) % queueSize}`);
      this.#execute(one);
    });
    return this;
  }

  /** A request through an entry, which holds this vector, or is not present. */
  use(index: number, vector: number, source = 0x4_0018): this {
    const low = vector === 0 ? 0xc : vector * 0x1_0000 + 0xd;
    this.#add(
      `vtd_ir_remap_msi_req addr ${hex(0xfee0_0018 + (index << 5))} data 0x0`,
      `vtd_ir_irte_get index ${index} low ${hex(source)} high 0x100${low.toString(16).padStart(8, "0")}`,
    );
    return this;
  }

  /** Brings the unit up as the specification asks, with a table of 65,536 entries. */
  bringUp(): this {
    return this.queue().table().submit("g", "w").command(0x600_0000);
  }

  queue(): this {
    this.#tail = 0;
    return this.write(0x88, 0).write(0x90, 0x11c_8000, 8).command(0x400_0000);
  }

  table(irta = 0x120_000f): this {
    return this.write(0xb8, irta, 8).command(((this.status & 0x8680_0000) | 0x100_0000) >>> 0);
  }

  other(line: string): this {
    return this.#add(line);
  }

  check(profile?: string): CheckResult {
    return checkLines(this.lines, profile);
  }

  #execute(one: number | "g" | "w" | "t"): void {
    const text = "vtd_inv_desc invalidate desc type";
    if (one === "w") this.#add(`${text} wait high ${waitStatus} low 0x200000025`);
    else if (one === "t") this.#add(`${text} iotlb high 0x0 low 0x12`);
    else {
      const low = one === "g" ? 4 : one * 2 ** 32 + 0x14;
      const [granularity, index] = one === "g" ? [0, 0] : [1, one];
      this.#add(
        `${text} iec high 0x0 low ${hex(low)}`,
        `vtd_inv_desc_iec granularity ${hex(granularity)} index ${hex(index)} mask 0x0`,
        `x86_iommu_iec_notify Notify IEC invalidation: global=${1 - granularity} index=${index} mask=0`,
      );
    }
  }

  #add(...lines: string[]): this {
    this.lines.push(...lines);
    return this;
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
