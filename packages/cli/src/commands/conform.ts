import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { type ConformResult, InputError, type Vendor, deviationsPage } from "@intremap/core";
import { runTasks } from "../conform-crew.ts";
import { reportConform } from "../conform-report.ts";
import type { TaskProgress } from "../conform-task.ts";
import { reasonOf } from "../input.ts";
import { type Io, exitStatus } from "../io.ts";
import { count, paintFor, writeJson } from "../output.ts";
import { Progress } from "../progress.ts";
import { corpusFiles } from "../sources/corpus-files.ts";

export interface ConformFlags {
  readonly vendor: Vendor | "both";
  readonly qemu: string;
  readonly cases: string;
  readonly seed: string;
  readonly corpus: boolean;
  readonly workers?: string;
  readonly page?: string;
  readonly json?: boolean;
}

const mostCases = 100_000_000;
const mostSeed = 2 ** 32 - 1;
const mostWorkers = 64;
/** As many as there are processors, but no more than this unless told. */
const mostWorkersUntold = 8;
/** Cases below which a further worker takes longer to start than to run them. */
const casesPerWorker = 2000;

/**
 * Runs the corpus and generated cases on a real QEMU and on the model of its version.
 * @returns 1 when QEMU did something that its profile does not, or the model fails a case of the corpus.
 * @throws InputError when there is no QEMU that can be driven, or it dies, hangs, or answers what is no answer.
 */
export async function conform(flags: ConformFlags, io: Io): Promise<number> {
  const cases = whole("--cases", flags.cases, mostCases);
  const seed = whole("--seed", flags.seed, mostSeed);
  const corpus = flags.corpus ? corpusFiles() : [];
  if (cases === 0 && corpus.length === 0)
    throw new InputError("--cases 0 without the corpus leaves nothing to run");
  const vendors: readonly Vendor[] = flags.vendor === "both" ? ["intel", "amd"] : [flags.vendor];
  const workers = workersOf(flags.workers, cases * vendors.length);
  const tasks = vendors.map((vendor) => ({ vendor, qemu: flags.qemu, cases, seed, corpus }));
  const progress = new Progress(io.stderr);
  let results: ConformResult[];
  try {
    results = await runTasks(tasks, workers, (all) => progress.show(() => soFar(all)));
  } finally {
    progress.clear();
  }
  if (flags.page !== undefined) writePage(flags.page, results);
  if (flags.json === true) writeJson(io, "conform", asJson(results));
  else io.stdout.write(reportConform(results, paintFor(io.stdout, io.env)));
  const found = results.some(({ disagreed, modelFailed }) => disagreed > 0 || modelFailed.length > 0);
  return found ? exitStatus.findings : exitStatus.clean;
}

function workersOf(flag: string | undefined, cases: number): number {
  if (flag === undefined) {
    const worthIt = Math.max(1, Math.floor(cases / casesPerWorker));
    return Math.min(availableParallelism(), mostWorkersUntold, worthIt);
  }
  return whole("--workers", flag, mostWorkers, 1);
}

/** How far those have come that are not done, in one line. */
function soFar(all: readonly TaskProgress[]): string {
  const underWay = all.filter(({ done, total }) => done < total);
  const shown = underWay.length > 0 ? underWay : all.slice(-1);
  const parts = shown.map(({ vendor, done, total, disagreed }) => {
    const found = disagreed === 0 ? "" : `, ${count(disagreed)} unexplained`;
    return `${vendor}: ${count(done)} of ${count(total)} cases${found}`;
  });
  return `${shown[0]!.target}, ${parts.join("; ")}`;
}

/** @throws InputError for what is no whole number from `least` to `most`. */
function whole(flag: string, text: string, most: number, least: number = 0): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new InputError(`${flag} "${text}": expected a whole number from ${least} to ${most}`);
}

function writePage(path: string, results: readonly ConformResult[]): void {
  try {
    writeFileSync(path, deviationsPage(results));
  } catch (error) {
    throw new InputError(`--page ${path}: ${reasonOf(error)}`);
  }
}

/** Sums over the vendors, and each vendor's run. */
function asJson(results: readonly ConformResult[]): object {
  const sum = (of: (result: ConformResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  return {
    target: results[0]!.target,
    cases: sum(({ cases }) => cases),
    compared: sum(({ compared }) => compared),
    agreed: sum(({ agreed }) => agreed),
    deviating: sum(({ deviating }) => deviating),
    disagreed: sum(({ disagreed }) => disagreed),
    known: results.flatMap(({ vendor, known }) => known.map((one) => ({ vendor, ...one }))),
    unexplained: results.flatMap(({ vendor, unexplained }) => unexplained.map((one) => ({ vendor, ...one }))),
    modelFailed: results.flatMap(({ modelFailed }) => modelFailed),
    runs: results.map(({ known: _known, unexplained: _unexplained, modelFailed: _failed, ...run }) => run),
  };
}
