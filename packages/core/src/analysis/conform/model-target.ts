import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import { Model, type Profile, isVtd } from "./model.ts";
import type { Script } from "./script.ts";
import type { Sight } from "./sight.ts";
import type { Target } from "./target.ts";

export interface ModelTargetOptions {
  /** The profile that it claims to have; its own unless told. */
  readonly claims?: string;
  readonly processors?: number;
  /** What it cannot be brought to show. */
  readonly refusal?: (script: Script) => string | undefined;
  /** Spoils what is seen of a script. */
  readonly sabotage?: (sights: readonly Sight[], script: Script) => readonly Sight[];
}

/** A target that is a model itself: what the runner says of it is known beforehand. */
export class ModelTarget implements Target {
  readonly name: string;
  readonly vendor: Vendor;
  readonly profile: string;
  readonly processors: number;
  readonly #options: ModelTargetOptions;
  readonly #model: Model;

  constructor(profile: Profile, options: ModelTargetOptions = {}) {
    this.name = `model of ${profile.name}`;
    this.vendor = isVtd(profile) ? "intel" : "amd";
    this.profile = options.claims ?? profile.name;
    this.processors = options.processors ?? 4;
    this.#options = options;
    this.#model = new Model(profile, this.processors);
  }

  refusal(script: Script): string | undefined {
    return this.#options.refusal?.(script);
  }

  run(scripts: readonly Script[]): Promise<readonly (readonly Sight[])[]> {
    const { sabotage } = this.#options;
    return Promise.resolve(
      scripts.map((script) => {
        const sights = this.#model.run(script);
        return sabotage === undefined ? sights : sabotage(sights, script);
      }),
    );
  }
}
