import { writeFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import {
  type ConformResult,
  InputError,
  type Vendor,
  conform as runConform,
  deviationsPage,
} from "@intremap/core";
import { reportConform } from "../conform-report.ts";
import { reasonOf } from "../input.ts";
import { type Io, exitStatus } from "../io.ts";
import { paintFor, writeJson } from "../output.ts";
import { Progress } from "../progress.ts";
import { QemuTarget } from "../qemu/target.ts";
import { corpusFiles } from "../sources/corpus-files.ts";

export interface ConformFlags {
  readonly vendor: Vendor | "both";
  readonly qemu: string;
  readonly cases: string;
  readonly seed: string;
  readonly corpus: boolean;
  readonly page?: string;
  readonly json?: boolean;
}

const mostCases = 100_000_000;
const mostSeed = 2 ** 32 - 1;

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
  const results: ConformResult[] = [];
  for (const vendor of vendors)
    results.push(await runVendor(vendor, flags.qemu, { cases, seed, corpus }, io));
  if (flags.page !== undefined) writePage(flags.page, results);
  if (flags.json === true) writeJson(io, "conform", asJson(results));
  else io.stdout.write(reportConform(results, paintFor(io.stdout, io.env)));
  const found = results.some(({ disagreed, modelFailed }) => disagreed > 0 || modelFailed.length > 0);
  return found ? exitStatus.findings : exitStatus.clean;
}

interface Work {
  readonly cases: number;
  readonly seed: number;
  readonly corpus: ReturnType<typeof corpusFiles>;
}

async function runVendor(vendor: Vendor, qemu: string, work: Work, io: Io): Promise<ConformResult> {
  const progress = new Progress(io.stderr);
  const target = await QemuTarget.start(qemu, vendor);
  try {
    return await runConform({
      target,
      ...work,
      requesters: target.requesters,
      pause: () => setImmediate(),
      onProgress: ({ done, total, disagreed }) => {
        const found = disagreed === 0 ? "" : `, ${count(disagreed)} unexplained`;
        progress.show(() => `${target.name}, ${vendor}: ${count(done)} of ${count(total)} cases${found}`);
      },
    });
  } finally {
    target.stop();
    progress.clear();
  }
}

/** @throws InputError for what is no whole number from 0 to `most`. */
function whole(flag: string, text: string, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= most) return value;
  throw new InputError(`${flag} "${text}": expected a whole number from 0 to ${most}`);
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

function count(number: number): string {
  return number.toLocaleString("en");
}
