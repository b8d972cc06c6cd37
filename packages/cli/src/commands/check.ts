import { writeFileSync } from "node:fs";
import { Check, type CheckResult, InputError } from "@intremap/core";
import { reportCheck, sarifFindings, sarifRemarks } from "../check-report.ts";
import { reasonOf } from "../input.ts";
import { type Io, exitStatus } from "../io.ts";
import { paintFor, writeJson } from "../output.ts";
import { sarifLog } from "../sarif.ts";
import { readTrace } from "../sources/read-trace.ts";

export interface CheckFlags {
  readonly profile?: string;
  /** A file, or `-`: the log goes to standard output in place of the report. */
  readonly sarif?: string;
  readonly json?: boolean;
}

/**
 * Checks the driver in a QEMU trace log against what real hardware may do.
 * @returns 1 when there is a hazard, 0 when there is none.
 * @throws InputError when the trace cannot be read or is of no remapping unit, or the SARIF log cannot be written.
 */
export async function check(trace: string, flags: CheckFlags, io: Io): Promise<number> {
  if (flags.sarif === "-" && flags.json === true) {
    throw new InputError("--sarif - with --json: both would write to standard output; name a file for one");
  }
  const result = await readTrace(new Check({ profile: flags.profile }), trace, io);
  if (flags.sarif !== undefined) writeSarif(flags.sarif, trace, result, io);
  if (flags.json === true) writeJson(io, "check", result);
  else if (flags.sarif !== "-") io.stdout.write(reportCheck(result, paintFor(io.stdout, io.env)));
  return result.hazardCount > 0 ? exitStatus.findings : exitStatus.clean;
}

function writeSarif(path: string, trace: string, result: CheckResult, io: Io): void {
  const text = `${JSON.stringify(sarifLog(sarifFindings(result, trace), sarifRemarks(result)), null, 2)}\n`;
  if (path === "-") {
    io.stdout.write(text);
    return;
  }
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new InputError(`--sarif ${path}: ${reasonOf(error)}`);
  }
}
