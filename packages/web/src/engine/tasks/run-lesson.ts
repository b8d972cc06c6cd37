import { type RunResult, runScenario } from "@intremap/core";
import { openImage } from "../images.ts";
import { openScenario } from "../scenario.ts";
import type { Tell } from "../tasks.ts";

interface Run {
  readonly scenario: string;
  readonly variant?: string;
  readonly values?: Readonly<Record<string, number>>;
}

/** Runs scenarios, one after the other. @param stacks functions whose call stacks are counted. */
export async function runLesson(
  { runs, stacks }: { readonly runs: readonly Run[]; readonly stacks: readonly string[] },
  tell: Tell,
): Promise<readonly RunResult[]> {
  const results: RunResult[] = [];
  for (const { scenario, variant, values = {} } of runs) {
    const choice = { values, ...(variant !== undefined && { variant }) };
    results.push(
      await runScenario(openScenario(scenario).read(choice), {
        stacks,
        openImage,
        progress: async (text) => tell(text),
      }),
    );
  }
  return results;
}
