import type { RunResult } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { run } from "../../cli/src/program.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import type { WalkChoice } from "../src/engine/walk-runs.ts";
import { lessons } from "../src/views/learn/lessons.ts";
import { graveFindings } from "./axe.ts";
import { browserMissing, closePage, openPage } from "./page.ts";

const runs = new Map<string, Promise<RunResult>>();

/** What the command prints of a run; of a variant, as what runs beside its scenario. */
function command({ scenario, variant, values = {} }: WalkChoice, stacks?: string): Promise<RunResult> {
  const args = [
    "run",
    scenario,
    ...Object.entries(values).flatMap(([name, value]) => [`--${name}`, `${value}`]),
  ];
  if (variant !== undefined) args.push("--compare", variant);
  if (stacks !== undefined) args.push(`--stacks=${stacks}`);
  const key = args.join(" ");
  const known = runs.get(key) ?? printed([...args, "--json"], variant !== undefined);
  runs.set(key, known);
  return known;
}

async function printed(args: readonly string[], beside: boolean): Promise<RunResult> {
  const io = testIo("", { NO_COLOR: "1" });
  await run([...args], io);
  const document = JSON.parse(io.out()) as RunResult & { readonly compared: RunResult };
  return beside ? document.compared : document;
}

function details({ episodes }: RunResult): string {
  return episodes.flatMap((episode) => episode.details).join("\n");
}

function faults(result: RunResult): Record<string, number> {
  return Object.fromEntries(result.faults.map(({ fault, count }) => [fault, count]));
}

function stackCounts({ stacks }: RunResult): number[] {
  return stacks.map(({ count }) => count);
}

/** By stop: what its right answer and what is said of it come to, in figures. */
const borneOut: readonly ((own: RunResult, changed: readonly RunResult[]) => void)[] = [
  ({ stacks: [stack] }, [, device]) => {
    const { frames } = stack!;
    expect(frames[frames.indexOf("address_space_stl_le") + 1]).toBe("virtio_blk_rw_complete");
    expect(device!.stacks).toEqual([]);
  },
  (own, [off, , table]) => {
    expect(details(own)).toContain("1 of its own, 0 past its entries");
    expect(off).toMatchObject({ remapping: false, blocked: 0 });
    expect(off!.hijacked).toBeGreaterThan(1000);
    expect(table!.hijacked).toBe(1);
  },
  (_own, [mapped, without]) => {
    expect(faults(mapped!)).toEqual({ "25h": 1 });
    expect(without).toMatchObject({ remapping: false, hijacked: 1 });
  },
  (own) => {
    expect(details(own).match(/its message stays as it is/g)).toHaveLength(2);
    expect(own.remapped).toBe(1);
  },
  (own) => expect(own).toMatchObject({ wakeups: 1, hostInterrupts: 0, lost: 0 }),
  (own, [many, moved]) => {
    expect([own, many!, moved!].map(stackCounts)).toEqual([
      [7, 7],
      [66, 66],
      [1, 1],
    ]);
    expect(own.stacks[0]!.frames).toContain("__msi_domain_alloc_irqs");
    expect(own.stacks[1]!.frames).toContain("request_threaded_irq");
  },
  (own, [nopost, preempted]) => {
    expect(own).toMatchObject({ raised: 40, notifications: 40, hostInterrupts: 0 });
    expect(details(own)).toContain("40 raised, 40 delivered, 40 notifications");
    expect(nopost!.hostInterrupts).toBe(40);
    expect(preempted).toMatchObject({ raised: 6, delivered: 2, coalesced: 4, notifications: 0 });
  },
  (own) => expect(own).toMatchObject({ raised: 800, delivered: 800, notifications: 100 }),
  (own, [verified]) => {
    expect([own.hijacked, verified!.hijacked]).toEqual([2, 0]);
    expect([faults(own)["26h"], faults(verified!)["26h"]]).toEqual([undefined, 2]);
  },
  (own, [nopost, off]) => {
    expect(own).toMatchObject({ remapping: true, posting: true, posted: 4, hostInterrupts: 0 });
    expect(nopost).toMatchObject({
      remapping: true,
      posting: false,
      remapped: 4,
      posted: 0,
      hostInterrupts: 40,
    });
    expect(off).toMatchObject({
      remapping: false,
      posting: false,
      remapped: 0,
      posted: 0,
      hostInterrupts: 2,
    });
  },
];

test("there is a check for each stop, and each question has one answer of three", () => {
  expect(borneOut).toHaveLength(lessons.length);
  for (const { question, changes } of lessons) {
    expect(question.choices).toHaveLength(3);
    expect(question.right).toBeLessThan(3);
    expect(changes.length).toBeGreaterThanOrEqual(2);
    expect(changes.length).toBeLessThanOrEqual(3);
  }
});

test.each(lessons.map((lesson, i) => [i + 1, lesson.name, lesson] as const))(
  "stop %i, %s: what the answer says is what the command prints",
  async (stop, _name, { run: own, changes, stacks }) => {
    const changed = await Promise.all(changes.map((change) => command(change.run, stacks)));
    borneOut[stop - 1]!(await command(own, stacks), changed);
  },
  60_000,
);

describe.skipIf(browserMissing)("the tour", { timeout: 60_000 }, () => {
  test("shows what the command prints, changes one thing, and answers", async () => {
    const [own, changed] = await Promise.all([
      command({ scenario: "passthrough-posted" }),
      command({ scenario: "passthrough-remapped" }),
    ]);
    const page = await openPage("#/learn?stop=7");
    const figures = (key: string) => page.locator(`[data-figure=${key}]`).allTextContents();
    await page.locator(".episodes").first().waitFor();
    expect(await figures("hostInterrupts")).toEqual([String(own.hostInterrupts)]);
    expect(await page.locator(".episodes").first().locator("small").allTextContents()).toEqual(
      own.episodes.flatMap((episode) => episode.details),
    );
    await page.getByRole("link", { name: "intremap=nopost" }).click();
    await page.locator(".lesson-runs.two").waitFor();
    for (const key of [
      "raised",
      "delivered",
      "vmExits",
      "notifications",
      "hostInterrupts",
      "posted",
    ] as const) {
      expect(await figures(key)).toEqual(
        [own[key], changed[key]].map((figure) => figure.toLocaleString("en")),
      );
    }
    const path = await page.getByRole("link", { name: "Step through it in Path" }).getAttribute("href");
    expect(path).toBe("#/path?scenario=passthrough-posted&compare=passthrough-remapped");
    await page.getByRole("radio", { name: /it takes each/ }).check();
    await page.getByText("Look again").waitFor();
    await page.keyboard.press("ArrowUp");
    await page.getByText("✓ Yes.").waitFor();
    expect(page.url()).toContain("stop=7&change=1&answer=3");
    await page.goBack();
    await page.locator(".lesson-runs:not(.two)").waitFor();
    await closePage(page);
  });

  test("steps through a stop's run in place, and leaves the page's own keys alone", async () => {
    const page = await openPage("#/learn?stop=7");
    const step = page.locator(".step-panel");
    await step.getByRole("heading", { name: "nic sends a message" }).waitFor();
    await page.keyboard.press("ArrowRight");
    await page.getByRole("button", { name: "Step forward" }).press("ArrowRight");
    await step.getByRole("heading", { name: "the root complex takes the write for an interrupt" }).waitFor();
    await expect.poll(() => page.url()).toMatch(/stop=7&step=\d+$/);
    await page.reload();
    await step.getByRole("heading", { name: "the root complex takes the write for an interrupt" }).waitFor();
    await page.getByRole("link", { name: "intremap=nopost" }).click();
    await page.locator(".step-panel").nth(1).waitFor();
    expect(await step.locator("h3").allTextContents()).toEqual([
      "nic sends a message",
      "nic sends a message",
    ]);
    expect(page.url()).not.toContain("step=");
    await closePage(page);
  });

  test("leads through nine stops to the question", async () => {
    const page = await openPage("#/learn");
    const titles: string[] = [];
    for (const { title } of lessons) {
      await page.getByRole("heading", { level: 2, name: title }).waitFor();
      titles.push(await page.locator(".stops [aria-current]").innerText());
      const count = await page.locator(".transport .count").innerText();
      expect(count, `${title}: where its arrival leads`).not.toMatch(/^1 of/);
      const next = page.locator(".lesson-steps .next");
      if ((await next.count()) > 0) await next.click();
    }
    expect(titles.map((title) => title[0])).toEqual("123456789?".split(""));
    await closePage(page);
  });

  test.each(["light", "dark"] as const)("has nothing grave for axe, %s", async (scheme) => {
    const page = await openPage("#/learn?stop=10&change=1&answer=2", { scheme, width: 1024 });
    await page.locator(".lesson-runs.two").waitFor();
    expect(await graveFindings(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)).toBe(false);
    await closePage(page);
  });
});
