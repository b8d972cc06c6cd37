import {
  type Explanation,
  type FindingGroup,
  InputError,
  decodeText,
  explainText,
  groupFindings,
  printPlaces,
  printReason,
} from "@intremap/core";
import { readBytes } from "../input.ts";
import { type Io, exitStatus } from "../io.ts";
import { type Paint, paintFor, wrap, writeJson } from "../output.ts";

export interface ExplainFlags {
  readonly json?: boolean;
}

const accepted =
  "DMAR and AMD-Vi fault lines of Linux or Xen, QEMU warnings, rows of debugfs, lspci MSI lines, IRTE or MSI pairs";

/**
 * Explains a text.
 * @returns 1 when it holds findings, 0 when what was understood is in order.
 * @throws InputError when nothing in it was understood, or it cannot be read.
 */
export async function explain(args: readonly string[], flags: ExplainFlags, io: Io): Promise<number> {
  const explanation = explainText(await textOf(args, io));
  if (explanation.understood === 0) throw new InputError(`nothing understood; explain accepts ${accepted}`);
  if (flags.json === true) writeJson(io, "explain", explanation);
  else io.stdout.write(report(explanation, paintFor(io.stdout, io.env)));
  return explanation.findings.length > 0 ? exitStatus.findings : exitStatus.clean;
}

async function textOf(args: readonly string[], io: Io): Promise<string> {
  if (args.length === 0 && io.stdin.isTTY === true) {
    throw new InputError(`no text: give it as an argument or on standard input; explain accepts ${accepted}`);
  }
  if (args.length === 0 || (args.length === 1 && args[0] === "-")) {
    return decodeText(await readBytes("-", io.stdin));
  }
  // Words of one unquoted line belong together; arguments with spaces in them are lines.
  return args.join(args.some((arg) => /\s/.test(arg)) ? "\n" : " ");
}

function report(explanation: Explanation, paint: Paint): string {
  const { findings, remarks, omitted } = explanation;
  const parts = groupFindings(explanation).map((group) => printGroup(group, paint));
  if (remarks.length > 0) {
    parts.push(remarks.map(({ line, what }) => `${paint("dim", `line ${line}:`)} ${what}\n`).join(""));
  }
  if (omitted > 0) parts.push(`${omitted} more findings and remarks are not shown.\n`);
  if (findings.length === 0) parts.push(`${paint("green", "nothing wrong in what was understood")}\n`);
  return parts.join("\n");
}

function printGroup(group: FindingGroup, paint: Paint): string {
  const { name, rule, section, what, causes, next } = group.finding;
  const out = [
    `${paint("red", `${printReason(group)}${name}`)}\n`,
    `  ${wrap(what, "  ")}\n`,
    `  rule     ${rule}, ${section}\n`,
    `  seen     ${printPlaces(group)}\n`,
  ];
  for (const [i, cause] of causes.entries())
    out.push(`  ${i === 0 ? "causes   " : "         "}- ${wrap(cause, " ".repeat(13))}\n`);
  for (const [i, step] of next.entries()) out.push(`  ${i === 0 ? "next     " : "         "}$ ${step}\n`);
  return out.join("");
}
