import { existsSync } from "node:fs";
import { basename } from "node:path";
import {
  type Given,
  type GivenScenario,
  InputError,
  decodeText,
  kindBytes,
  packHost,
  peek,
} from "@intremap/core";
import { asBytes } from "../input.ts";
import { type Io, exitStatus } from "../io.ts";
import { writeJson } from "../output.ts";
import { type PageFiles, readPage } from "../page/page-files.ts";
import { selfContained } from "../page/self-contained.ts";
import { valuesOf } from "../scenario-options.ts";
import { readHost } from "../sources/host.ts";
import { ImageFile } from "../sources/image-file.ts";
import { writeOutput } from "../sources/output-file.ts";
import { type ScenarioFile, builtInScenarios, openScenario } from "../sources/scenario-file.ts";

export interface ReportFlags {
  /** The file that is written; `-` for standard output. */
  readonly html: string;
  readonly compare?: string;
  readonly json?: boolean;
}

/** Bytes of a disk image that a report takes in. */
const mostImageBytes = 4 << 20;

/** What every scenario says, and no text of a host. */
const scenarioKeys = ["title", "kernel", "machine", "script"];

/**
 * Writes the page as one file that shows a host or a scenario; of standard input its content tells which.
 * @param rest options that are the scenario's parameters.
 * @throws InputError when the source or scenario cannot be read, or the file cannot be written.
 */
export async function report(
  subject: string,
  rest: readonly string[],
  flags: ReportFlags,
  io: Io,
  page: PageFiles = readPage(),
): Promise<number> {
  if (flags.html === "-" && flags.json === true) {
    throw new InputError("--html - and --json: both want standard output");
  }
  const { isScenario, input } = await recognised(subject, io);
  const { given, packed } = isScenario
    ? { given: await scenarioGiven(subject, rest, flags, input), packed: null }
    : await hostGiven(subject, rest, flags, input);
  const html = selfContained(page, given, packed);
  if (flags.html === "-") {
    io.stdout.write(html);
    return exitStatus.clean;
  }
  writeOutput(flags.html, html, "--html");
  const bytes = Buffer.byteLength(html);
  if (flags.json === true) {
    const kind = isScenario ? "scenario" : "host";
    writeJson(io, "report", { file: flags.html, bytes, kind, subject, opens: given.start });
  } else io.stdout.write(`${flags.html}: ${(bytes / 1e6).toFixed(1)} MB, opens at ${given.start}\n`);
  return exitStatus.clean;
}

/** @returns in `input` an outside world whose standard input still has what was looked at. */
async function recognised(subject: string, io: Io): Promise<{ isScenario: boolean; input: Io }> {
  if (subject !== "-") {
    return { isScenario: builtInScenarios().includes(subject) || /\.ya?ml$/i.test(subject), input: io };
  }
  const { head, rest } = await peek(asBytes(io.stdin), kindBytes);
  const text = decodeText(head);
  const isScenario = scenarioKeys.every((key) => new RegExp(`^${key}:`, "m").test(text));
  return { isScenario, input: { stdin: rest, stdout: io.stdout, stderr: io.stderr, env: io.env } };
}

async function hostGiven(
  subject: string,
  rest: readonly string[],
  { compare }: ReportFlags,
  io: Io,
): Promise<{ given: Given; packed: string }> {
  const [option] = compare === undefined ? rest : ["--compare"];
  if (option !== undefined) throw new InputError(`"${option}" goes with a scenario, and ${subject} is none`);
  if (subject !== "live" && subject !== "-" && !existsSync(subject)) {
    throw new InputError(
      `there is no scenario and no file "${subject}": expected live, a file or folder of a host, or ${builtInScenarios().join(", ")}`,
    );
  }
  const packed = packHost(await readHost(subject, io));
  const name = subject === "-" ? "standard input" : basename(subject);
  const given = { start: "#/machine?source=report", host: { name, from: "report" }, scenario: null } as const;
  return { given, packed };
}

async function scenarioGiven(
  subject: string,
  rest: readonly string[],
  { compare }: ReportFlags,
  io: Io,
): Promise<Given> {
  const file = await openScenario(subject, io.stdin);
  const values = valuesOf(rest, file.parameters, file.name, "--compare, --html or --json");
  const { variants } = file.read({ values });
  if (compare !== undefined && !variants.includes(compare) && !builtInScenarios().includes(compare)) {
    const known = [...variants, ...builtInScenarios()].join(", ");
    throw new InputError(`--compare ${compare}: expected ${known}`);
  }
  const query = new URLSearchParams({ scenario: file.name, ...(compare !== undefined && { compare }) });
  for (const [name, value] of Object.entries(values)) query.set(name, String(value));
  const own = builtInScenarios().includes(subject) ? null : await ownScenario(file);
  return { start: `#/path?${query.toString()}`, host: null, scenario: own };
}

/** What the page does not have already. */
async function ownScenario(file: ScenarioFile): Promise<GivenScenario> {
  const { title, about, vms, variants } = file.read({});
  const machines = [vms, ...variants.map((variant) => file.read({ variant }).vms)].flat();
  const names = new Set(machines.flatMap(({ disk }) => (disk === undefined ? [] : [disk.image])));
  const images: Record<string, string> = {};
  for (const name of names) images[name] = await imageOf(file.folder, name);
  return { name: file.name, title, about, text: file.text, images };
}

async function imageOf(folder: string, name: string): Promise<string> {
  const image = await ImageFile.open(folder, name);
  try {
    if (image.size > mostImageBytes) {
      throw new InputError(`${name}: larger than ${mostImageBytes >> 20} MiB, which a report takes in`);
    }
    return Buffer.from(await image.read(0, image.size)).toString("base64");
  } finally {
    await image.close();
  }
}
