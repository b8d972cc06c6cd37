import { QemuTraceReader, type TraceHandler, type Vendor } from "../evidence/qemu-trace/index.ts";
import { InputError } from "../evidence/input-error.ts";
import type { FollowChoice } from "./path.ts";
import type { ReplayResult } from "./replay-result.ts";
import { AmdviReplay } from "./replay-amdvi.ts";
import { VtdReplay } from "./replay-vtd.ts";
import { checkProfileName, startWithProfile } from "./trace-profile.ts";
import type { ReplayContext, UnitReplay } from "./unit-replay.ts";

export interface ReplayOptions {
  /** A profile's name; that of the newest QEMU of the trace's vendor unless told. */
  readonly profile?: string | undefined;
  readonly follow?: FollowChoice | undefined;
}

/**
 * Replays a QEMU trace log: each interrupt request in it goes through the model, and what comes out is compared with
 * what came out of QEMU. The log is fed in chunks cut anywhere; nothing is kept of a line once it has been used.
 */
export class Replay {
  readonly #reader: QemuTraceReader;
  readonly #options: ReplayOptions;
  #unit: UnitReplay | undefined;

  /** @throws InputError when there is no profile of the name. */
  constructor(options: ReplayOptions = {}) {
    checkProfileName(options.profile);
    this.#options = options;
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
   * @throws InputError when it holds no interrupt request, or not the one to follow.
   */
  finish(): ReplayResult {
    const reader = this.#reader;
    reader.end();
    const unit = this.#unit;
    unit?.finish(reader.cutOff ? reader.lines : 0);
    if (unit === undefined || unit.requests === 0) {
      throw new InputError(
        `no interrupt requests in ${reader.lines} lines: expected vtd_ir_remap_msi_req or amdvi_ir_remap_msi_req events ` +
          "of a QEMU trace log",
      );
    }
    const { follow } = this.#options;
    if (follow !== undefined && unit.followed === undefined)
      throw new InputError(notFound(follow, unit.requests));
    const { lines, skipped, ignored } = reader.summary();
    return {
      vendor: unit.vendor,
      profile: unit.profileName,
      lines,
      requests: unit.requests,
      agreed: unit.agreed,
      disagreed: unit.disagreed,
      disagreedCount: unit.disagreedCount,
      notChecked: unit.notChecked,
      skipped,
      ignored,
      requesters: unit.requesters.rows(),
      ...(unit.followed === undefined ? {} : { followed: unit.followed }),
    };
  }

  #start(vendor: Vendor): TraceHandler {
    const context: ReplayContext = {
      skip: (reason, line) => this.#reader.skip(reason, line),
      follow: this.#options.follow,
    };
    const unit = startWithProfile<UnitReplay>(vendor, this.#options.profile, "qemu", {
      intel: (profile) => new VtdReplay(profile, context),
      amd: (profile) => new AmdviReplay(profile, context),
    });
    this.#unit = unit;
    return unit;
  }
}

function notFound(follow: FollowChoice, requests: number): string {
  if (follow === "instructive") return "no request to follow: the trace ends within its only one";
  return "ordinal" in follow
    ? `request ${follow.ordinal} to follow: the trace has requests 1 to ${requests}`
    : `line ${follow.line} to follow: no interrupt request's line`;
}
