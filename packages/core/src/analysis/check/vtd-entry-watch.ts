import type { VtdProfile } from "../../hardware/vtd/profile.ts";
import * as irte from "../../spec/accessors/irte-remapped.ts";
import type { Hazard } from "./hazard.ts";
import type { Scope } from "./hazard-list.ts";
import { formatHazards } from "./vtd-entry-format.ts";
import { type EntryHistory, indexLimit } from "./vtd-entry-history.ts";

/** What the unit is set to. */
export interface EntrySettings {
  /** Where IRE was last set; 0 while the trace has not shown it. */
  readonly enabledAt: number;
  readonly eime: boolean;
}

/** Holds each entry, as it is used, against what the unit may have kept of it and against its format. */
export class EntryWatch {
  readonly #profile: VtdProfile;
  readonly #history: EntryHistory;
  readonly #settings: EntrySettings;
  readonly #report: (hazard: Hazard, scope: Scope) => void;
  readonly #caches: boolean;
  readonly #keepsNotPresent: boolean;
  /** 1 for an entry that was seen without source verification. */
  readonly #unverified = new Uint8Array(indexLimit);

  constructor(
    profile: VtdProfile,
    history: EntryHistory,
    settings: EntrySettings,
    report: (hazard: Hazard, scope: Scope) => void,
  ) {
    this.#profile = profile;
    this.#history = history;
    this.#settings = settings;
    this.#report = report;
    this.#caches = profile.entryCache !== "none";
    this.#keepsNotPresent = this.#caches && (profile.cachesNotPresent || profile.entryCache === "line");
  }

  /** A request was looked up in the entry, which held these words. */
  use(line: number, index: number, word0: number, word1: number, word2: number, word3: number): void {
    const history = this.#history;
    if (history.usedAt(index) !== 0 && history.same(index, word0, word1, word2, word3)) {
      history.touch(line, index);
      return;
    }
    if (this.#caches) {
      if (history.kept(index)) this.#changed(line, index);
      else if (history.usedAt(index) === 0) this.#firstUse(line, index, word0);
    }
    history.use(line, index, word0, word1, word2, word3);
    if (irte.pOf(word0) !== 0) this.#judge(line, index, word0, word1, word2, word3);
  }

  /** The entry is not what it was at its last use, and was not invalidated in between. */
  #changed(line: number, index: number): void {
    const history = this.#history;
    // What was not present was not kept, but by units that keep such entries too.
    if (!history.wasPresent(index) && !this.#keepsNotPresent) return;
    const since = history.usedAt(index);
    const found =
      `entry ${index} is not what it was in line ${since}, and was not invalidated since: ` +
      "hardware may go on with the old one";
    const fix = `queue an invalidation of index ${index} and a wait behind each change of the entry`;
    this.#add({ rule: "vtd.check.entry-changed", index, at: line, since, found, fix });
  }

  /** An entry that may have been kept as not present, before software made it present. */
  #firstUse(line: number, index: number, word0: number): void {
    const since = this.#settings.enabledAt;
    if (!this.#keepsNotPresent || irte.pOf(word0) === 0 || since === 0) return;
    if (this.#history.invalidatedAt(index) > since) return;
    const found =
      `entry ${index} is used, and was not invalidated since remapping was enabled in line ${since}: ` +
      "hardware may have kept it as not present";
    const fix = `queue an invalidation of index ${index} and a wait once the entry is present, before it is used`;
    this.#add({ rule: "vtd.check.first-use", index, at: line, since, found, fix });
  }

  #judge(line: number, index: number, word0: number, word1: number, word2: number, word3: number): void {
    if (irte.svtOf(word2) === 0 && this.#unverified[index] === 0) {
      this.#unverified[index] = 1;
      const found = `entry ${index} is present with SVT=00: any function can send its interrupt`;
      const fix =
        "set SID to the device's requester id, and SVT to 01 (10 behind a bridge that takes ownership)";
      this.#add({ rule: "vtd.check.svt-none", index, at: line, since: null, found, fix }, "unit");
    }
    const words = Int32Array.of(word0, word1, word2, word3);
    for (const hazard of formatHazards(this.#profile, words, line, index, this.#settings.eime)) {
      this.#report(hazard, "entry");
    }
  }

  #add(hazard: Omit<Hazard, "requester">, scope: Scope = "entry"): void {
    this.#report({ ...hazard, requester: null }, scope);
  }
}
