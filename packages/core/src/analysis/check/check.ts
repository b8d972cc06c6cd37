import { InputError } from "../../evidence/input-error.ts";
import { QemuTraceReader, type Vendor } from "../../evidence/qemu-trace/index.ts";
import { AmdviCheck } from "./check-amdvi.ts";
import { VtdCheck } from "./check-vtd.ts";
import { HazardList } from "./hazard-list.ts";
import type { CheckResult } from "./hazard.ts";
import { checkProfileName, startWithProfile } from "../trace-profile.ts";
import type { CheckContext, TraceCheck } from "./trace-check.ts";

export interface CheckOptions {
  /** A profile's name; the strict one of the trace's vendor unless told. */
  readonly profile?: string | undefined;
}

/**
 * Checks a QEMU trace log: what real hardware of a profile could have done wrong with the software in it. The log is
 * fed in chunks cut anywhere; what is kept does not grow with it.
 */
export class Check {
  readonly #reader: QemuTraceReader;
  readonly #profile: string | undefined;
  readonly #hazards = new HazardList();
  #unit: TraceCheck | undefined;

  /** @throws InputError when there is no profile of the name. */
  constructor(options: CheckOptions = {}) {
    const { profile } = options;
    checkProfileName(profile);
    this.#profile = profile;
    this.#reader = new QemuTraceReader((vendor) => this.#start(vendor));
  }

  /** Lines read so far. */
  get lines(): number {
    return this.#reader.lines;
  }

  /** @throws InputError when the input is no QEMU trace log, or is of another vendor than the profile. */
  feed(chunk: Uint8Array): void {
    this.#reader.feed(chunk);
  }

  /**
   * Ends the trace.
   * @throws InputError when it holds no event of a remapping unit.
   */
  finish(): CheckResult {
    const reader = this.#reader;
    reader.end();
    const unit = this.#unit;
    const notChecked = unit?.finish(reader.cutOff ? reader.lines : 0) ?? [];
    if (unit === undefined || unit.events === 0) {
      throw new InputError(
        `nothing to check in ${reader.lines} lines: expected vtd_* or amdvi_* events of a QEMU trace log`,
      );
    }
    const { lines, skipped, ignored } = reader.summary();
    return {
      vendor: unit.vendor,
      profile: unit.profileName,
      lines,
      hazards: this.#hazards.rows(),
      hazardCount: this.#hazards.count,
      notChecked,
      ignored,
      skipped,
    };
  }

  #start(vendor: Vendor): TraceCheck {
    const context: CheckContext = {
      hazards: this.#hazards,
      skip: (reason, line) => this.#reader.skip(reason, line),
    };
    const unit = startWithProfile<TraceCheck>(vendor, this.#profile, "strict", {
      intel: (profile) => new VtdCheck(profile, context),
      amd: (profile) => new AmdviCheck(profile, context),
    });
    this.#unit = unit;
    return unit;
  }
}
