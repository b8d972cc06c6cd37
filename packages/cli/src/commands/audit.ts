import { InputError, type Severity, audit as auditHost, reachesSeverity } from "@intremap/core";
import { auditDocument, auditMarkdown, auditRemarks, auditSarif, reportAudit } from "../audit-report.ts";
import { type Io, exitStatus } from "../io.ts";
import { paintFor, writeJson } from "../output.ts";
import { sarifLog } from "../sarif.ts";
import { readHost } from "../sources/host.ts";

export interface AuditFlags {
  readonly from: string;
  readonly failOn: Severity | "never";
  readonly format?: "text" | "json" | "sarif" | "markdown";
  readonly json?: boolean;
}

/**
 * Looks for what is wrong with a host's interrupt remapping.
 * @returns 1 when a finding is at least as grave as `failOn`, else 0.
 * @throws InputError when the source cannot be read.
 */
export async function audit(flags: AuditFlags, io: Io): Promise<number> {
  const { json, failOn, format = json === true ? "json" : "text" } = flags;
  if (json === true && format !== "json")
    throw new InputError(
      `--json with --format ${format}: both would write to standard output; leave one out`,
    );
  const result = auditHost(await readHost(flags.from, io));
  if (format === "json") writeJson(io, "audit", auditDocument(result));
  else if (format === "sarif")
    io.stdout.write(`${JSON.stringify(sarifLog(auditSarif(result), auditRemarks(result)), null, 2)}\n`);
  else if (format === "markdown") io.stdout.write(auditMarkdown(result));
  else io.stdout.write(reportAudit(result, paintFor(io.stdout, io.env)));
  return result.findings.some((finding) => reachesSeverity(finding, failOn))
    ? exitStatus.findings
    : exitStatus.clean;
}
