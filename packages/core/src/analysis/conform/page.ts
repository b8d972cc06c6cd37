import type { ConformResult, KnownDeviation } from "./result.ts";

const vendors = { intel: "VT-d", amd: "AMD-Vi" } as const;

/** Text of the page that tells what machines were seen to do against the specifications, from runs of one or more. */
export function deviationsPage(results: readonly ConformResult[]): string {
  const parts = [
    "# Where QEMU departs from the specifications",
    "Made by `intremap conform` from what a real QEMU was seen to do. Each deviation is a rule, the flag of the profile that models it, what " +
      "the specification wants, and the smallest case that shows it, as a record of `cases/`: under the strict profile it ends as the specification " +
      "says, under the version's own as QEMU does. A count says in how many of a run's cases the deviation had a part.",
    ...results.flatMap(section),
  ];
  return `${parts.join("\n\n")}\n`;
}

function section(result: ConformResult): string[] {
  const { target, vendor, profile, seed, compared, corpus, generated, agreed, deviating, disagreed } = result;
  const from = `${corpus} cases of the corpus and ${generated} generated ones (seed ${seed})`;
  return [
    `## ${vendors[vendor]}, ${target}`,
    `Profile \`${profile}\`. Of ${from}, ${compared} were run on the machine: ${agreed} as the specification wants, ${deviating} otherwise as the ` +
      `profile says, ${disagreed} unexplained.`,
    ...result.known.flatMap(deviation),
    ...counts("Run on the model only", result.modelOnly),
    ...counts("Not compared", result.notCompared),
  ];
}

function deviation({
  flag,
  rule,
  section: where,
  text,
  breaks,
  cases,
  wanted,
  got,
  smallest,
}: KnownDeviation): string[] {
  return [
    `### ${rule}`,
    `${text} (${where}; flag \`${flag}\`; ${cases} cases)`,
    `- The specification: ${breaks.text} (\`${breaks.rule}\`, ${breaks.section})`,
    `- It wants: ${wanted}\n- QEMU did: ${got}`,
    `\`\`\`json\n${JSON.stringify(smallest, null, 2)}\n\`\`\``,
  ];
}

function counts(title: string, of: Readonly<Record<string, number>>): string[] {
  const rows = Object.entries(of).sort(([, a], [, b]) => b - a);
  if (rows.length === 0) return [];
  return [`${title}, by reason:`, rows.map(([reason, count]) => `- ${reason}: ${count}`).join("\n")];
}
