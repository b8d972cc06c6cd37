import { DeviationFinder, type Experience } from "./deviation-finder.ts";
import { generateCase } from "./generate.ts";
import { type Profile, isVtd } from "./model.ts";
import { recordCase } from "./recording.ts";
import { ModelOnly } from "../conformance/stage.ts";

/** Cases after which more would teach little. */
const lessons = 500;
const seed = 0x1e55_0115;
const processors = 4;

const experiences = new WeakMap<Profile, Experience>();

/** What generated cases teach of a profile's deviations: the same ones for whoever asks, however the cases of a run are shared. */
export function experienceOf(profile: Profile): Experience {
  let experience = experiences.get(profile);
  if (experience === undefined) experiences.set(profile, (experience = learn(profile)));
  return experience;
}

function learn(profile: Profile): Experience {
  const finder = new DeviationFinder(profile, processors);
  for (let number = 0; number < lessons; number++) {
    try {
      const record = generateCase(isVtd(profile) ? "intel" : "amd", seed, number);
      const { script, sights } = recordCase(record, finder.own);
      finder.explain(script, finder.strict(script), sights);
    } catch (error) {
      if (!(error instanceof ModelOnly)) throw error;
    }
  }
  return finder.experience;
}
