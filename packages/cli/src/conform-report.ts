import type { ConformResult, Unexplained } from "@intremap/core";
import { type Paint, table, wrap, count, unitNames } from "./output.ts";

/** What `conform` prints for people. */
export function reportConform(results: readonly ConformResult[], paint: Paint): string {
  return results.map((result) => one(result, paint)).join("\n");
}

function one(result: ConformResult, paint: Paint): string {
  const { target, vendor, profile, cases, corpus, generated, seed, compared, agreed, deviating, disagreed } =
    result;
  const counts = [
    paint("green", `${count(agreed)} as the specification wants`),
    `${count(deviating)} as ${profile} does`,
    disagreed === 0 ? "0 unexplained" : paint("red", `${count(disagreed)} unexplained`),
  ];
  const from = [
    ...(corpus > 0 ? [`${count(corpus)} of the corpus`] : []),
    ...(generated > 0 ? [`${count(generated)} generated, seed ${seed}`] : []),
  ];
  const parts = [
    `${unitNames[vendor]}, ${target}, profile ${profile}, ${count(cases)} cases (${from.join("; ")})\n` +
      `${paint("bold", `${count(compared)} cases on both`)}: ${counts.join(", ")}\n` +
      paint(
        "dim",
        `local APICs compared in ${count(result.apicsCompared)} of them; ${count(result.casesPerSecond)} cases/s\n`,
      ),
    known(result, paint),
    ...result.unexplained.map((found) => unexplained(found, paint)),
    remarks(result, paint),
  ];
  const rest = disagreed - result.unexplained.length;
  if (rest > 0) parts.push(`and ${count(rest)} more that nothing explains\n`);
  return parts.filter((part) => part !== "").join("\n");
}

function known({ known: deviations }: ConformResult, paint: Paint): string {
  if (deviations.length === 0) return "";
  const rows = deviations.map(({ rule, flag, breaks, cases }) => [rule, flag, breaks.rule, count(cases)]);
  return table(["deviation", "flag of the profile", "goes against", "cases"], rows, paint);
}

/** The smallest case stands as a record that can be put into the corpus. */
function unexplained({ id, differences, smallest }: Unexplained, paint: Paint): string {
  const lines = differences.map(
    ({ scene, what, expected, got }) =>
      `  ${what} of scene ${scene}\n    ${paint("bold", "profile")}  ${wrap(expected, "             ")}\n` +
      `    ${paint("bold", "QEMU")}     ${wrap(got, "             ")}\n`,
  );
  const record = JSON.stringify(smallest, null, 2).replaceAll("\n", "\n  ");
  return `${paint("red", "unexplained")} ${id}\n${lines.join("")}  ${record}\n`;
}

function remarks({ modelOnly, modelFailed, notCompared }: ConformResult, paint: Paint): string {
  const lines = [
    ...modelFailed.map((id) => `${paint("red", "the model fails")} ${id}\n`),
    ...rows(notCompared).map(
      ([what, times]) => `${paint("yellow", "not compared")} ${count(times)} × ${what}\n`,
    ),
    ...rows(modelOnly).map(
      ([why, times]) => `${paint("dim", "on the model only")} ${count(times)} × ${why}\n`,
    ),
  ];
  return lines.join("");
}

function rows(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).sort(([, a], [, b]) => b - a);
}
