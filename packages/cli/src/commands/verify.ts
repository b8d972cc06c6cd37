import { availableParallelism, totalmem } from "node:os";
import {
  type Counterexample,
  InputError,
  type PlayResult,
  type PlayTitle,
  type Protocol,
  Search,
  type Size,
  type Verdict,
  playResult,
  protocols,
  readQuestion,
  totalsOf,
  wholeNumber,
  writeCounterexample,
} from "@intremap/core";
import { type Io, exitStatus } from "../io.ts";
import { paintFor, writeJson } from "../output.ts";
import { Progress } from "../progress.ts";
import { OutputFile } from "../sources/output-file.ts";
import { type Question, type Times, drive } from "../verify-crew.ts";
import { reportProtocol, reportVerdict } from "../verify-report.ts";

export type VerifyFlags = Partial<Readonly<Record<keyof Size, string>>> & {
  readonly vendor: Protocol["vendor"];
  readonly play?: string;
  readonly without?: string;
  readonly list?: boolean;
  readonly timeline?: string;
  readonly workers?: string;
  readonly memory?: string;
  readonly states?: string;
  readonly json?: boolean;
};

/** What one search may use. */
interface Limits {
  readonly workers: number;
  readonly mostBytes: number;
  readonly mostStates: number;
}

const mostWorkers = 15;
const defaultBytes = 4 * 2 ** 30;

/**
 * Explores every interleaving of a vendor's posting protocol.
 * @returns 1 when there is a counterexample, 2 when there is none so far and not every state was seen, 0 otherwise.
 * @throws InputError for a size, play, step or limit that there is not.
 */
export async function verify(flags: VerifyFlags, io: Io): Promise<number> {
  if (flags.list === true) return list(protocols[flags.vendor], flags, io);
  const { protocol, size, without, plays } = readQuestion(flags, "--");
  const limits = limitsOf(flags);
  const timeline = flags.timeline === undefined ? undefined : new OutputFile(flags.timeline, "--timeline");
  const results: PlayResult[] = [];
  let first: Counterexample | null = null;
  try {
    for (const play of plays) {
      const question: Question = { vendor: protocol.vendor, play: play.name, size, without: flags.without };
      const { result, counterexample } = await explored(protocol, question, play, limits, io);
      results.push(result);
      first ??= counterexample;
    }
    if (timeline !== undefined && first !== null) {
      writeCounterexample(first, timeline.write);
      timeline.close();
    }
  } finally {
    timeline?.abandon();
  }
  if (timeline !== undefined && first === null) {
    io.stderr.write(`intremap: no counterexample: ${flags.timeline} is not written\n`);
  }
  const verdict: Verdict = {
    vendor: protocol.vendor,
    size,
    without,
    workers: limits.workers,
    plays: results,
  };
  if (flags.json === true) writeJson(io, "verify", { ...verdict, ...totalsOf(results), plays: results });
  else io.stdout.write(reportVerdict(verdict, paintFor(io.stdout, io.env)));
  if (first !== null) return exitStatus.findings;
  return results.every(({ exhausted }) => exhausted) ? exitStatus.clean : exitStatus.unusable;
}

function list(protocol: Protocol, flags: VerifyFlags, io: Io): number {
  const { vendor, removable, plays } = protocol;
  if (flags.json === true) {
    const titles = plays.map(({ name, title, byDefault }) => ({ name, title, byDefault }));
    writeJson(io, "verify", { vendor, removable, plays: titles });
  } else io.stdout.write(reportProtocol(protocol, paintFor(io.stdout, io.env)));
  return exitStatus.clean;
}

async function explored(
  protocol: Protocol,
  question: Question,
  play: PlayTitle,
  limits: Limits,
  io: Io,
): Promise<{ result: PlayResult; counterexample: Counterexample | null }> {
  const { size, without } = question;
  const begin = performance.now();
  const search = inRange(() => {
    const world = protocol.world(play.name, size, without);
    const { workers: walkers, ...most } = limits;
    return new Search(world, { ...most, walkers });
  });
  const progress = new Progress(io.stderr);
  const times: Times = { exploring: 0, rounds: 0 };
  const shown = (): void => progress.show(() => soFar(play.name, search));
  try {
    const found = await drive(search, question, limits.workers, times, shown);
    const result = playResult(play, found, { ...times, all: performance.now() - begin });
    return { result, counterexample: found.counterexample };
  } finally {
    progress.clear();
  }
}

function soFar(play: string, { states, depth, bytes, peeled }: Search): string {
  const seen = `${play}: ${states.toLocaleString("en")} states, ${depth} moves deep, ${Math.round(bytes / 2 ** 20)} MiB`;
  return peeled === 0 ? seen : `${seen}; looking for rounds, ${Math.floor((100 * peeled) / states)} %`;
}

function limitsOf({ workers, memory, states }: VerifyFlags): Limits {
  return {
    workers:
      workers === undefined
        ? Math.min(mostWorkers, availableParallelism())
        : wholeNumber("--workers", workers, 1, mostWorkers),
    mostBytes: memory === undefined ? Math.min(defaultBytes, Math.floor(totalmem() / 2)) : bytesOf(memory),
    mostStates: states === undefined ? Infinity : wholeNumber("--states", states, 1, 2 ** 40),
  };
}

const units: Readonly<Record<string, number>> = { M: 2 ** 20, G: 2 ** 30 };
const memoryBounds = [2 ** 20, 64 * 2 ** 30] as const;

/** `4G`, `512M`. */
function bytesOf(text: string): number {
  const match = /^(\d{1,6}(?:\.\d{1,3})?)([MG])i?B?$/i.exec(text);
  const bytes = match === null ? NaN : Math.floor(Number(match[1]) * units[match[2]!.toUpperCase()]!);
  if (bytes >= memoryBounds[0] && bytes <= memoryBounds[1]) return bytes;
  throw new InputError(`--memory "${text}": expected a size from 1M to 64G, as 4G or 512M`);
}

/** @throws InputError for a size that a world does not have. */
function inRange<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof RangeError ? new InputError(`verify: ${error.message}`) : error;
  }
}
