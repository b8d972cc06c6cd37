import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The posting protocol in Promela (`posting.pml`) beside `intremap verify`: SPIN is to come to the same verdict on the
 * protocol and on each step that is left out. (`spin.test.ts` holds that it has as many states, step by step.)
 */
const model = fileURLToPath(new URL("posting.pml", import.meta.url));

/** The play `base` as `posting.pml` has it when nothing is told. */
const spinSize = { posts: 2, halts: 1, preemptions: 1, migrations: 1 };

/** The steps that it can leave out, each with what is needed for its absence to show. */
export const spinSteps = {
  "recompute-on": {},
  "self-ipi-at-block": {},
  "ndst-update": {},
  "sync-pir-on-entry": {},
  "wakeup-list-once": { halts: 2, preemptions: 0, migrations: 0 },
};

/** What is missing of the tools that this takes; null if nothing is. */
export function missingTool() {
  for (const [tool, ask] of [
    ["spin", "-V"],
    ["gcc", "--version"],
  ]) {
    if (spawnSync(tool, [ask]).status !== 0) return tool;
  }
  return null;
}

/**
 * Explores the model.
 * @param {{ posts?: number, halts?: number, preemptions?: number, migrations?: number }} size
 * @param {{ without?: string, shortest?: boolean }} [how] `shortest`: breadth first.
 * @returns {{ states: number, transitions: number, seconds: number, moves: number | null }} `moves` of the first
 * counterexample that it found; null if there is none.
 */
export function runSpin(size, { without, shortest = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "intremap-spin-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    const options = Object.entries({ ...spinSize, ...size }).map(
      ([name, value]) => `-D${name.toUpperCase()}=${value}`,
    );
    if (without !== undefined) options.push(`-DWITHOUT_${without.toUpperCase().replaceAll("-", "_")}`);
    const quiet = { cwd: folder, stdio: ["ignore", "ignore", "inherit"] };
    execFileSync("spin", [...options, "-a", model], quiet);
    const checker = ["-DSAFETY", "-DNOREDUCE", "-DMEMLIM=3072", ...(shortest ? ["-DBFS"] : [])];
    execFileSync("gcc", ["-O2", "-w", ...checker, "-o", "pan", "pan.c"], quiet);
    const told = execFileSync(join(folder, "pan"), ["-m1000000"], { cwd: folder, encoding: "utf8" });
    return readPan(told);
  } finally {
    process.off("exit", remove);
    remove();
  }
}

function readPan(told) {
  const number = (pattern) => {
    const found = pattern.exec(told);
    if (found === null) throw new Error(`pan says nothing of ${pattern.source}: ${told}`);
    return Number(found[1]);
  };
  if (/max search depth too small|out of memory|memory limit/.test(told)) {
    throw new Error(`pan did not finish: ${told}`);
  }
  const violated = /assertion violated .*\(at depth (\d+)\)/.exec(told);
  const errors = number(/errors: (\d+)/);
  if (errors > 0 !== (violated !== null)) throw new Error(`pan ends otherwise than expected: ${told}`);
  return {
    states: number(/(\d+) states, stored/),
    // It counts that there is a beginning.
    transitions: number(/(\d+) transitions/) - 1,
    seconds: number(/elapsed time ([\d.e+-]+) seconds/),
    moves: violated === null ? null : Number(violated[1]),
  };
}

/** @param {string[]} options @returns what `intremap verify --json` prints. */
function runVerify(options) {
  const command = fileURLToPath(new URL("../packages/cli/bin/intremap.js", import.meta.url));
  const args = [
    command,
    "verify",
    "--vendor",
    "intel",
    "--play",
    "base",
    "--workers",
    "1",
    "--json",
    ...options,
  ];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0 && status !== 1) throw new Error(`intremap verify: ${stderr.trim()}`);
  return JSON.parse(stdout);
}

const verdict = (counterexample) => (counterexample === null ? "clean" : "a counterexample");
const speed = ({ states, statesPerSecond }) =>
  `${states.toLocaleString("en")} states at ${(statesPerSecond / 1e6).toFixed(2)} M states/s`;
const sizeOptions = (size) =>
  Object.entries({ ...spinSize, ...size }).flatMap(([name, n]) => [`--${name}`, `${n}`]);

/**
 * The part of `npm run bench`: prints both verdicts on the whole protocol and on each step left out, and how fast each was.
 * @returns {number} targets missed.
 */
export function benchSpin() {
  const tool = missingTool();
  if (tool !== null) {
    console.log(`\nverify beside SPIN: skipped, ${tool} is not installed`);
    return 0;
  }
  let missed = 0;
  const compare = (title, size, without) => {
    const spin = runSpin(size, { without });
    const own = runVerify([...sizeOptions(size), ...(without === undefined ? [] : ["--without", without])]);
    const agrees = (spin.moves === null) === (own.counterexample === null);
    if (!agrees || (without === undefined) !== own.exhausted) missed++;
    console.log(
      `${title}: SPIN ${verdict(spin.moves)}, verify ${verdict(own.counterexample)}: ` +
        (agrees ? "they agree" : "they do not agree"),
    );
    return [spin, own];
  };
  console.log("");
  for (const [step, size] of Object.entries(spinSteps)) compare(`posting without ${step}`, size, step);
  const posts = 4;
  const [spin, own] = compare(`posting, ${posts} posts`, { posts });
  const target = 1e6;
  const rate = own.statesPerSecond;
  if (rate < target) missed++;
  // SPIN looks for no rounds here, so that of verify does not count either.
  const [its, ours] = [spin.seconds, own.states / rate];
  console.log(
    `  SPIN ${speed({ ...spin, statesPerSecond: spin.states / its })} in ${its.toFixed(2)} s, one for each step\n` +
      `  verify ${speed(own)} in ${ours.toFixed(2)} s (${(ours / its).toFixed(2)} × SPIN), one for steps that nobody can tell apart; ` +
      `target ≥ ${target / 1e6} M: ${rate >= target ? "met" : "missed"}`,
  );
  return missed;
}
