import type { PlayResult, Protocol, Verdict } from "@intremap/core";
import { type Paint, table, wrap } from "./output.ts";

const width = 118;

export function reportVerdict(verdict: Verdict, paint: Paint): string {
  const { plays } = verdict;
  const parts = [head(verdict, paint), numbers(plays, paint)];
  for (const play of plays) if (play.counterexample !== null) parts.push(steps(play, paint));
  parts.push(closing(plays, paint));
  return parts.join("\n");
}

function head({ vendor, size, without, workers }: Verdict, paint: Paint): string {
  const { vcpus, cpus, posts, preemptions, halts, migrations } = size;
  const what = vendor === "intel" ? "VMX posting" : "AVIC";
  const title = without === null ? `${what}, every interleaving` : `${what} without ${without}`;
  const each = `each vCPU ${[
    count(preemptions, "preemption"),
    count(halts, "halt"),
    count(migrations, "migration"),
  ].join(", ")}`;
  const shape = [count(vcpus, "vCPU"), count(cpus, "CPU"), count(posts, "post"), each].join(", ");
  return `${paint("bold", title)}\n${paint("dim", `${shape}; ${count(workers, "worker")}`)}\n`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function numbers(plays: readonly PlayResult[], paint: Paint): string {
  const rows = plays.map((play) => [
    play.name,
    play.states.toLocaleString("en"),
    play.transitions.toLocaleString("en"),
    String(play.depth),
    play.seconds.toFixed(2),
    play.statesPerSecond.toLocaleString("en"),
    play.bytesPerState.toFixed(1),
    outcome(play),
  ]);
  const header = ["play", "states", "moves", "depth", "seconds", "states/s", "bytes/state", "outcome"];
  return table(header, rows, paint);
}

function outcome({ counterexample, stopped }: PlayResult): string {
  if (counterexample !== null) {
    return `${counterexample.property}, after ${count(counterexample.steps.length, "step")}`;
  }
  return stopped === null ? "nothing goes wrong" : `not exhausted: ${limits[stopped]}`;
}

const limits = {
  memory: "the memory of --memory is full",
  states: "the states of --states are reached",
} as const;

function steps({ name, title, counterexample }: PlayResult, paint: Paint): string {
  const { property, steps: all, roundFrom } = counterexample!;
  const actors = Math.max(...all.map(({ actor }) => actor.length), 0);
  const digits = String(all.length).length;
  const lines = [`${paint("red", property)}: ${name}, ${title}`];
  for (const [i, { actor, step, routine, does, rest = [] }] of all.entries()) {
    if (i + 1 === roundFrom) lines.push(paint("yellow", "  from here on it goes round:"));
    const number = `${String(i + 1).padStart(digits)}.`;
    const indent = " ".repeat(digits + actors + 7);
    lines.push(`  ${number} ${actor.padEnd(actors)}  ${paint("bold", step)} ${paint("dim", `(${routine})`)}`);
    lines.push(`${indent}${wrap(does, indent, width)}`);
    for (const each of rest) {
      lines.push(`${indent}${wrap(`${each.step}: ${each.does}`, `${indent}  `, width)}`);
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

function closing(plays: readonly PlayResult[], paint: Paint): string {
  const wrong = plays.filter(({ counterexample }) => counterexample !== null).length;
  const open = plays.filter(({ exhausted, counterexample }) => !exhausted && counterexample === null).length;
  const lines: string[] = [];
  if (wrong > 0) lines.push(paint("red", `${count(wrong, "play")} with a counterexample`));
  if (open > 0) {
    lines.push(
      paint(
        "yellow",
        `${count(open, "play")} not exhausted: nothing was found so far, which says nothing of the rest`,
      ),
    );
  }
  if (wrong + open === 0) lines.push(paint("green", "every state was seen: nothing goes wrong in any order"));
  return lines.map((line) => `${line}\n`).join("");
}

/** The steps that can be left out, one line each, and the plays. */
export function reportProtocol({ removable, plays }: Protocol, paint: Paint): string {
  const stepRows = removable.map(({ id, play, bug }) => [id, play, bug]);
  const playRows = plays.map(({ name, title, byDefault }) => [name, byDefault ? "yes" : "no", title]);
  return [
    table(["step", "shows in", "the bug that its absence was"], stepRows, paint),
    table(["play", "by default", "what races"], playRows, paint),
  ].join("\n");
}
