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

/** By stop: what its right answer and what is said of it come to, in figures. `from` is what a change is held against. */
const borneOut: readonly ((
  own: RunResult,
  changed: readonly RunResult[],
  from: readonly RunResult[],
) => void)[] = [
  ({ stacks: [stack] }, [, device]) => {
    const { frames } = stack!;
    expect(frames[frames.indexOf("address_space_stl_le") + 1]).toBe("virtio_blk_rw_complete");
    expect(device!.stacks).toEqual([]);
  },
  (own, [off, amd, table]) => {
    expect(details(own)).toContain("1 of its own, 0 past its entries");
    expect(off).toMatchObject({ remapping: false, blocked: 0 });
    expect(off!.hijacked).toBeGreaterThan(1000);
    expect(amd).toMatchObject({ remapping: true, hijacked: 260 });
    expect(table!.hijacked).toBe(1);
  },
  (own, [mapped, without], [, beside]) => {
    expect(own).toMatchObject({ delivered: 1, blocked: 0, hijacked: 0 });
    expect(details(own)).toContain("the device's own entry stays");
    expect(faults(mapped!)).toEqual({ "25h": 1 });
    expect(beside).toEqual(mapped);
    expect(without).toMatchObject({ remapping: false, hijacked: 1 });
  },
  (own) => {
    expect(details(own).match(/its message stays as it is/g)).toHaveLength(2);
    expect(own.remapped).toBe(1);
  },
  (own, [old]) => {
    expect(own).toMatchObject({ wakeups: 1, hostInterrupts: 0, lost: 0 });
    const halted = own.episodes.findIndex(({ details: [first] }) => first === "its thread sleeps");
    expect(own.episodes[halted + 1]!.details).toEqual(["1 raised, 1 delivered, 1 wake-up"]);
    expect(old!.stacks[1]!.frames).toEqual(
      expect.arrayContaining(["modify_irte_ga", "request_threaded_irq"]),
    );
  },
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
    expect(nopost).toMatchObject({ hostInterrupts: 40, notifications: 30 });
    expect(preempted).toMatchObject({ raised: 6, delivered: 2, coalesced: 4, notifications: 0 });
  },
  (own) => expect(own).toMatchObject({ raised: 800, delivered: 800, notifications: 100 }),
  (own, [verified, overridden, given], [, optedOut, refused]) => {
    expect([own.hijacked, verified!.hijacked]).toEqual([2, 0]);
    expect([faults(own)["26h"], faults(verified!)["26h"]]).toEqual([undefined, 2]);
    expect([optedOut!.x2apic, overridden!.x2apic]).toEqual([false, true]);
    expect(details(refused!)).toContain("-EPERM");
    expect(given).toMatchObject({ delivered: 2, posted: 2 });
  },
  (own, [nopost, off]) => {
    expect([own, nopost!, off!].map(({ raised, delivered }) => [raised, delivered])).toEqual([
      [2, 2],
      [2, 2],
      [2, 2],
    ]);
    expect([own, nopost!, off!].map(({ notifications }) => notifications)).toEqual([2, 1, 1]);
    expect(own).toMatchObject({ remapping: true, posting: true, posted: 2, hostInterrupts: 0 });
    expect(nopost).toMatchObject({
      remapping: true,
      posting: false,
      remapped: 2,
      posted: 0,
      hostInterrupts: 2,
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
    const all = changes.map(async ({ run: changed, from, stacks: others = stacks }) => {
      return [await command(changed, others), await command(from?.run ?? own, stacks)] as const;
    });
    const pairs = await Promise.all(all);
    borneOut[stop - 1]!(
      await command(own, stacks),
      pairs.map(([changed]) => changed),
      pairs.map(([, from]) => from),
    );
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
    await expect.poll(() => page.url()).toContain("stop=7&change=1&answer=3");
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

  test("holds a change against another run than the stop's own, and Path does the same", async () => {
    const page = await openPage("#/learn?stop=9");
    await page.getByRole("link", { name: "no_x2apic_optout" }).click();
    await page.locator(".lesson-runs.two").waitFor();
    expect(await page.locator(".outcomes th[scope=row]").allTextContents()).toEqual([
      "a firmware that opts out of x2APIC",
      "no_x2apic_optout",
    ]);
    await page.locator(".episodes").first().getByText("in xapic mode").waitFor();
    await page.locator(".episodes").nth(1).getByText("in x2apic mode").waitFor();
    const path = await page.getByRole("link", { name: "Step through it in Path" }).getAttribute("href");
    expect(path).toBe("#/path?scenario=x2apic-optout&compare=overridden");
    await page.getByRole("link", { name: "no_x2apic_optout" }).click();
    await page.locator(".lesson-runs:not(.two)").waitFor();
    expect(page.url()).toMatch(/stop=9$/);
    await closePage(page);
  });

  test("shows AMD's guest log where it is asked for, and each kernel's own stack", async () => {
    const page = await openPage("#/learn?stop=5&change=1");
    await page.locator(".lesson-runs.two").waitFor();
    const callers = await page.locator(".lesson-stacks figcaption code").allTextContents();
    expect(new Set(callers)).toEqual(new Set(["amd_ir_set_vcpu_affinity", "modify_irte_ga"]));
    expect(callers.at(-1)).toBe("modify_irte_ga");
    await page.goto(page.url().replace("&change=1", ""));
    const step = page.locator(".step-panel");
    await step.getByRole("heading", { name: "nic sends a message" }).waitFor();
    const logged = step.getByRole("heading", { name: "the unit writes to the guest virtual APIC log" });
    for (let i = 0; i < 20 && !(await logged.isVisible()); i++) {
      await page.getByRole("button", { name: "Step forward" }).click();
    }
    await step.getByText("interrupt 11").waitFor();
    expect(await logged.count()).toBe(1);
    await closePage(page);
  });

  test("shows what happened before its steps, near the question", async () => {
    const page = await openPage("#/learn?stop=4&change=1", { width: 1024 });
    const top = async (part: string): Promise<number> => (await page.locator(part).first().boundingBox())!.y;
    await page.locator(".lesson-runs.two").waitFor();
    expect(await top(".episodes")).toBeLessThan(900);
    expect(await top(".episodes")).toBeLessThan(await top(".run-diagram"));
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
      if ((await next.count()) === 0) continue;
      await next.click();
      await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe("H2");
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
