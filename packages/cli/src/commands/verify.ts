import { availableParallelism, totalmem } from "node:os";
import {
  type Counterexample,
  InputError,
  type Protocol,
  Search,
  type Size,
  baseSize,
  protocols,
  sizeBounds,
  writeCounterexample,
} from "@intremap/core";
import { type Io, exitStatus } from "../io.ts";
import { paintFor, writeJson } from "../output.ts";
import { Progress } from "../progress.ts";
import { TimelineFile } from "../sources/timeline-file.ts";
import { type Question, type Times, drive } from "../verify-crew.ts";
import { type PlayResult, type Verdict, reportProtocol, reportVerdict } from "../verify-report.ts";

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
  const protocol = protocols[flags.vendor];
  if (flags.list === true) return list(protocol, flags, io);
  const size = sizeOf(flags);
  const limits = limitsOf(flags);
  const timeline = flags.timeline === undefined ? undefined : new TimelineFile(flags.timeline);
  const results: PlayResult[] = [];
  let first: Counterexample | null = null;
  try {
    for (const { name, title } of playsOf(protocol, flags)) {
      const question: Question = { vendor: protocol.vendor, play: name, size, without: flags.without };
      const { result, counterexample } = await explored(protocol, question, title, limits, io);
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
    without: flags.without ?? null,
    workers: limits.workers,
    plays: results,
  };
  if (flags.json === true) writeJson(io, "verify", { ...verdict, ...totals(results), plays: results });
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
  title: string,
  limits: Limits,
  io: Io,
): Promise<{ result: PlayResult; counterexample: Counterexample | null }> {
  const { play: name, size, without } = question;
  const begin = performance.now();
  const search = inRange(() => {
    const world = protocol.world(name, size, without);
    const { workers: walkers, ...most } = limits;
    return new Search(world, { ...most, walkers });
  });
  const progress = new Progress(io.stderr);
  const times: Times = { exploring: 0, rounds: 0 };
  const shown = (): void => progress.show(() => soFar(name, search));
  try {
    const { counterexample, ...done } = await drive(search, question, limits.workers, times, shown);
    const { states, transitions, depth, bytes, exhausted, stopped } = done;
    const result: PlayResult = {
      name,
      title,
      states,
      transitions,
      depth,
      seconds: seconds(performance.now() - begin),
      roundSeconds: seconds(times.rounds),
      statesPerSecond: Math.round((1000 * states) / Math.max(times.exploring, 1)),
      bytesPerState: Math.round((10 * bytes) / states) / 10,
      exhausted,
      stopped,
      counterexample: counterexample && {
        property: counterexample.property,
        steps: counterexample.moves,
        roundFrom: counterexample.roundFrom === null ? null : counterexample.roundFrom + 1,
      },
    };
    return { result, counterexample };
  } finally {
    progress.clear();
  }
}

function soFar(play: string, { states, depth, bytes, peeled }: Search): string {
  const seen = `${play}: ${states.toLocaleString("en")} states, ${depth} moves deep, ${Math.round(bytes / 2 ** 20)} MiB`;
  return peeled === 0 ? seen : `${seen}; looking for rounds, ${Math.floor((100 * peeled) / states)} %`;
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds) / 1000;
}

/** Of all plays together. */
function totals(plays: readonly PlayResult[]) {
  const sum = (of: (play: PlayResult) => number): number => plays.reduce((all, play) => all + of(play), 0);
  const states = sum((play) => play.states);
  const exploring = sum((play) => play.states / play.statesPerSecond);
  return {
    states,
    transitions: sum((play) => play.transitions),
    seconds: Math.round(1000 * sum((play) => play.seconds)) / 1000,
    statesPerSecond: Math.round(states / exploring),
    bytesPerState: Math.round((10 * sum((play) => play.states * play.bytesPerState)) / states) / 10,
    exhausted: plays.every(({ exhausted }) => exhausted),
    counterexample: plays.find(({ counterexample }) => counterexample !== null)?.counterexample ?? null,
  };
}

/** The play that is asked for; that in which a step's absence shows; or all that go by default. */
function playsOf({ plays, removable }: Protocol, { play, without }: VerifyFlags): Protocol["plays"] {
  const step = removable.find(({ id }) => id === without);
  if (without !== undefined && step === undefined) {
    throw new InputError(`--without "${without}": expected ${removable.map(({ id }) => id).join(", ")}`);
  }
  const asked = play ?? step?.play;
  if (asked === undefined) return plays.filter(({ byDefault }) => byDefault);
  const chosen = plays.filter(({ name }) => name === asked);
  if (chosen.length === 0) {
    throw new InputError(`--play "${asked}": expected ${plays.map(({ name }) => name).join(", ")}`);
  }
  return chosen;
}

function sizeOf(flags: VerifyFlags): Size {
  const size: Record<keyof Size, number> = { ...baseSize };
  for (const [key, [from, to]] of Object.entries(sizeBounds) as [keyof Size, readonly [number, number]][]) {
    if (flags[key] !== undefined) size[key] = whole(`--${key}`, flags[key], from, to);
  }
  return size;
}

function whole(option: string, text: string, from: number, to: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= from && value <= to) return value;
  throw new InputError(`${option} "${text}": expected a whole number from ${from} to ${to}`);
}

function limitsOf({ workers, memory, states }: VerifyFlags): Limits {
  return {
    workers:
      workers === undefined
        ? Math.min(mostWorkers, availableParallelism())
        : whole("--workers", workers, 1, mostWorkers),
    mostBytes: memory === undefined ? Math.min(defaultBytes, Math.floor(totalmem() / 2)) : bytesOf(memory),
    mostStates: states === undefined ? Infinity : whole("--states", states, 1, 2 ** 40),
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
