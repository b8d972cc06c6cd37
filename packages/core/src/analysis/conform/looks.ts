import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import { registers as amdviRegisters } from "../../spec/amdvi/registers.ts";
import type { Register } from "../../spec/register.ts";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import { registers as vtdRegisters } from "../../spec/vtd/registers.ts";
import { ModelOnly } from "../conformance/stage.ts";
import { reasons } from "./reasons.ts";
import type { RegisterPlace, Scene } from "./script.ts";

type Looks = Pick<Scene, "registers" | "memory">;

const registersOf: Readonly<Record<Vendor, Readonly<Record<string, Register>>>> = {
  intel: vtdRegisters,
  amd: amdviRegisters,
};

/** What shows that a step is about posting to a guest. */
const guestKeys: ReadonlySet<string> = new Set(["requests", "galog", "doorbell"]);

const nothing: Looks = { registers: [], memory: [] };

/**
 * What a step's expectation asks to look at beside what is always looked at, whichever profile it is for.
 * @throws ModelOnly when it is about what the machine cannot show.
 */
export function looksOf(expect: unknown, vendor: Vendor): Looks {
  if (typeof expect !== "object" || expect === null) return nothing;
  const { byProfile } = expect as { byProfile?: object };
  const variants: readonly object[] = byProfile === undefined ? [expect] : Object.values(byProfile);
  const names = new Set<string>();
  const memory = new Set<number>();
  for (const one of variants) {
    for (const [key, asked] of Object.entries(one)) {
      if (guestKeys.has(key)) throw new ModelOnly(reasons.guestPosting);
      if (key !== "registers" && key !== "memory" && key !== "pids") continue;
      for (const name of Object.keys(asked as object)) {
        if (key === "registers") names.add(name);
        else if (key === "memory") memory.add(Number(name));
        else for (const word of descriptorWords(name)) memory.add(word);
      }
    }
  }
  return names.size + memory.size === 0
    ? nothing
    : { registers: places([...names], vendor), memory: [...memory] };
}

/** Fault recording registers are looked at anyway. */
function places(names: readonly string[], vendor: Vendor): RegisterPlace[] {
  return names.flatMap((name) => {
    const register = registersOf[vendor][name];
    return register === undefined ? [] : [{ offset: register.offset, width: register.width }];
  });
}

function descriptorWords(address: string): number[] {
  return Array.from({ length: postedDescriptor.width / 32 }, (_, i) => Number(address) + 4 * i);
}
