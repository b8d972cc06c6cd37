import { check } from "../check.ts";
import { shows } from "../look.ts";
import { printRequester } from "../../../spec/requester.ts";
import { namesMissingTables } from "./present.ts";

/** From this share on, in hundredths, a budget is nearly spent. */
const nearly = 90;

export const vectorsSpent = check({
  rule: "linux.vector.exhaustion",
  severity: "medium",
  vendor: null,
  looksAt: "the kernel's vector budget of each processor",
  why: "The next driver that wants interrupts, or a processor that is to be taken offline, finds no vector.",
  fix: "Give devices fewer queues, spread affinities, or leave more processors to interrupts.",
  find({ state: { processors } }, look) {
    if (processors.length === 0) return look.lacks("the processors");
    for (const { cpu, online, vectors } of processors) {
      if (online?.value === false) continue;
      if (vectors === undefined) {
        look.lacks("how many vectors of each processor are free");
        continue;
      }
      look.at();
      const { available, allocated } = vectors.value;
      const all = available + allocated;
      if (all === 0 || allocated * 100 < all * nearly) continue;
      look.add({
        subject: { kind: "processor", name: `CPU ${cpu}` },
        severity: available === 0 ? "high" : "medium",
        title: `CPU ${cpu} has ${available} of ${all} vectors left.`,
        evidence: [shows(vectors, `${allocated} allocated, ${available} available`)],
      });
    }
  },
});

export const tablesSpent = check({
  rule: "audit.table.exhaustion",
  severity: "medium",
  vendor: null,
  looksAt: "entries in use of each table's",
  why: "The next interrupt of a device behind this unit is not set up; its driver does without, or fails.",
  fix: "Give devices fewer queues, or hand fewer functions out.",
  find(host, look) {
    namesMissingTables(host, look);
    for (const { unit, requester, table } of host.links.tables) {
      const { length, allocated, entries } = table.value;
      if (length === null || length === 0) {
        look.lacks(`the size of the table of ${unit.name}`);
        continue;
      }
      look.at();
      const used = allocated?.size ?? [...entries.values()].filter((value) => (value & 1n) === 1n).length;
      if (used * 100 < length * nearly) continue;
      const name = requester === null ? unit.name : `${printRequester(requester)} at ${unit.name}`;
      look.add({
        subject: { kind: "table", name: `the table of ${name}` },
        severity: used >= length ? "high" : "medium",
        title: `${used} of ${length} entries of the table of ${name} are in use.`,
        evidence: [shows(table, `${used} of ${length} entries in use`)],
      });
    }
  },
});
