import { setImmediate } from "node:timers/promises";
import { InputError, PerfettoWriter, type RunResult, type Scenario, runScenario } from "@intremap/core";
import { type Io, exitStatus } from "../io.ts";
import { paintFor, writeJson } from "../output.ts";
import { Progress } from "../progress.ts";
import { reportList, reportRun, reportRuns } from "../run-report.ts";
import { valuesOf } from "../scenario-options.ts";
import { ImageFile } from "../sources/image-file.ts";
import { type ScenarioFile, builtInScenarios, openScenario } from "../sources/scenario-file.ts";
import { OutputFile } from "../sources/output-file.ts";

export interface RunFlags {
  /** True for the symbols that the command watches by itself. */
  readonly stacks?: true | string;
  readonly timeline?: string;
  readonly compare?: string;
  readonly json?: boolean;
}

/** Innermost functions of the paths that scenarios show: whose stacks are recorded unless another is asked for. */
const watched = [
  "intel_ir_compose_msi_msg",
  "intel_ir_set_vcpu_affinity",
  "modify_irte_ga",
  "kvm_irqchip_send_msi",
];

/**
 * Runs a scenario, and perhaps another one beside it.
 * @param rest options that are the scenario's parameters, as they stood on the command line.
 * @returns 1 when an expectation was not met, something leaked, or an unexpected interrupt was lost or blocked.
 * @throws InputError when the scenario cannot be read, names line and column.
 */
export async function run(
  name: string | undefined,
  rest: readonly string[],
  flags: RunFlags,
  io: Io,
): Promise<number> {
  const { scenario, options, stacks } = arranged(name === undefined ? rest : [name, ...rest], flags.stacks);
  if (scenario === undefined) return list(options, flags, io);
  const file = await openScenario(scenario, io.stdin);
  const values = valuesOf(options, file.parameters, file.name, "--stacks, --timeline, --compare or --json");
  const first = file.read({ values });
  const beside = flags.compare ?? first.beside;
  const others = beside === undefined ? [] : [await otherOf(file, first, beside, values, io)];

  const timeline = flags.timeline === undefined ? undefined : new OutputFile(flags.timeline, "--timeline");
  const progress = new Progress(io.stderr);
  const results: RunResult[] = [];
  const images: ImageFile[] = [];
  try {
    for (const { scenario: one, folder } of [{ scenario: first, folder: file.folder }, ...others]) {
      results.push(
        await runScenario(one, {
          stacks: stacks === undefined ? [] : stacks === true ? watched : [stacks],
          openImage: async (image) => {
            const opened = await ImageFile.open(folder, image);
            images.push(opened);
            return opened;
          },
          progress: async (text) => {
            progress.show(() => text);
            await setImmediate();
          },
          ...(timeline !== undefined &&
            results.length === 0 && { timeline: new PerfettoWriter(timeline.write) }),
        }),
      );
    }
    timeline?.close();
  } finally {
    timeline?.abandon();
    progress.clear();
    for (const image of images) await image.close();
  }
  const [result, ...compared] = results as [RunResult, ...RunResult[]];
  if (typeof stacks === "string" && results.every((one) => one.stacks.length === 0)) {
    io.stderr.write(`intremap: no call of "${stacks}" was seen\n`);
  }
  if (flags.json === true) writeJson(io, "run", { ...result, compared: compared[0] ?? null });
  else {
    const paint = paintFor(io.stdout, io.env);
    io.stdout.write(
      compared.length === 0 ? reportRun(result, paint) : reportRuns(result, compared[0]!, paint),
    );
  }
  return results.some(({ findings }) => findings.length > 0) ? exitStatus.findings : exitStatus.clean;
}

/** The scenario's name among words that may stand in any order; `--stacks NAME` without another is taken for it. */
function arranged(
  words: readonly string[],
  stacks: RunFlags["stacks"],
): { scenario: string | undefined; options: readonly string[]; stacks: RunFlags["stacks"] } {
  const options: string[] = [];
  let scenario: string | undefined;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (!word.startsWith("--") && scenario === undefined) {
      scenario = word;
      continue;
    }
    options.push(word);
    if (word.startsWith("--") && !word.includes("=") && i + 1 < words.length) options.push(words[++i]!);
  }
  if (scenario !== undefined || typeof stacks !== "string") return { scenario, options, stacks };
  return { scenario: stacks, options, stacks: true };
}

/** @throws InputError for options, which are those of a scenario. */
async function list(options: readonly string[], flags: RunFlags, io: Io): Promise<number> {
  if (options.length > 0) {
    throw new InputError(
      `"${options.join(" ")}" without a scenario: expected a name or a file, of ${builtInScenarios().join(", ")}`,
    );
  }
  const scenarios: Scenario[] = [];
  for (const name of builtInScenarios()) scenarios.push((await openScenario(name, io.stdin)).read({}));
  if (flags.json === true) {
    const plain = scenarios.map(({ name, title, kernel, parameters, variants }) => ({
      name,
      title,
      kernel,
      parameters,
      variants,
    }));
    writeJson(io, "run", { scenarios: plain });
  } else io.stdout.write(reportList(scenarios, paintFor(io.stdout, io.env)));
  return exitStatus.clean;
}

/** What runs beside a scenario: a variant of it, or another scenario with the parameters that both have. */
async function otherOf(
  file: ScenarioFile,
  { variants }: Scenario,
  other: string,
  values: Readonly<Record<string, number>>,
  io: Io,
): Promise<{ scenario: Scenario; folder: string }> {
  if (variants.includes(other))
    return { scenario: file.read({ values, variant: other }), folder: file.folder };
  const second = await openScenario(other, io.stdin);
  const names = new Set(second.parameters.map((parameter) => parameter.name));
  const shared = Object.fromEntries(Object.entries(values).filter(([key]) => names.has(key)));
  return { scenario: second.read({ values: shared }), folder: second.folder };
}
