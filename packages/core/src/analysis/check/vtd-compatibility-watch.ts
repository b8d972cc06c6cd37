import type { VtdProfile } from "../../hardware/vtd/profile.ts";
import type { Hazard } from "./hazard.ts";

/**
 * Compatibility-format requests that QEMU lets pass and hardware would not. A reset of the machine leaves no line in
 * the traces of old versions and shows with the next command only: until then it may be firmware that sends them.
 */
export class CompatibilityWatch {
  readonly #passes: boolean;
  #count = 0;
  #first = 0;

  constructor(profile: VtdProfile) {
    this.#passes = profile.deviations.includes("compatibilityPasses");
  }

  /** A request arrives, and is to be blocked. */
  blocked(line: number): void {
    if (!this.#passes && this.#count++ === 0) this.#first = line;
  }

  /** There was a reset before the requests. */
  forget(): void {
    this.#count = 0;
  }

  /** There was none. @returns what is to be said of the requests since the last time. */
  take(): Hazard | undefined {
    const count = this.#count;
    if (count === 0) return undefined;
    this.#count = 0;
    const requests =
      count === 1
        ? "a compatibility-format request arrives"
        : `${count} compatibility-format requests arrive`;
    return {
      rule: "vtd.ir.compatibility-blocked",
      index: null,
      requester: null,
      at: this.#first,
      since: null,
      found: `${requests} while remapping is on: QEMU lets it pass, hardware blocks it (25h)`,
      fix: "program the interrupt in remappable format before remapping is enabled",
    };
  }
}
