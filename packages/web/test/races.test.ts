import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { run } from "../../cli/src/program.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { graveFindings } from "./axe.ts";
import { browserMissing, closePage, openPage } from "./page.ts";

interface Step {
  readonly actor: string;
  readonly step: string;
  readonly routine: string;
  readonly does: string;
  readonly rest?: readonly { readonly step: string; readonly does: string }[];
}

interface Document {
  readonly [key: string]: unknown;
  readonly plays: readonly Record<string, unknown>[];
  readonly counterexample: { readonly property: string; readonly steps: readonly Step[] } | null;
}

/** What the command prints, without how long it took. */
async function command(...args: string[]): Promise<Document> {
  const io = testIo("", { NO_COLOR: "1" });
  await run(["verify", ...args, "--workers", "1", "--memory", "1G", "--json"], io);
  return timeless(JSON.parse(io.out()) as Document);
}

function timeless({ plays, ...document }: Document): Document {
  return {
    ...withoutTimes(document),
    plays: plays.map(withoutTimes),
    counterexample: document.counterexample,
  };
}

function withoutTimes(figures: Record<string, unknown>): Record<string, unknown> {
  const times = new Set(["seconds", "roundSeconds", "statesPerSecond"]);
  return Object.fromEntries(Object.entries(figures).filter(([key]) => !times.has(key)));
}

/** The document that the page would copy. */
async function copied(page: Page): Promise<Document> {
  await page.evaluate(() => {
    navigator.clipboard.writeText = (text) => {
      document.documentElement.dataset["copied"] = text;
      return Promise.resolve();
    };
  });
  await page.getByRole("button", { name: "Copy as JSON" }).click();
  return timeless(JSON.parse((await page.locator("html").getAttribute("data-copied"))!) as Document);
}

const outcome = ".race-head h2";

/** The move that is looked at, but for who makes it. */
async function shownMove(page: Page): Promise<Omit<Step, "actor">> {
  return page.locator(".race-move").evaluate((panel) => {
    const rest = Array.from(panel.querySelectorAll(".race-rest li"), (item) => {
      const step = item.querySelector("code")!.textContent;
      return { step, does: item.textContent.slice(step.length + 1) };
    });
    return {
      step: panel.querySelector("h3 code")!.textContent,
      routine: panel.querySelector(".routine")?.textContent ?? "",
      does: panel.querySelector("[role=status] > p:not(.routine)")!.textContent,
      ...(rest.length > 0 && { rest }),
    };
  });
}

describe.skipIf(browserMissing)("the view of races", { timeout: 60_000 }, () => {
  test("shows the counterexample that the command prints, step by step from the keyboard", async () => {
    const expected = await command("--without", "kick-on-assign");
    const page = await openPage("#/races");
    await page.getByRole("radio", { name: /^kick-on-assign/ }).check();
    await page.locator(outcome).waitFor();
    const { property, steps } = expected.counterexample!;
    expect(await page.locator(outcome).textContent()).toContain(`${property}, after ${steps.length} moves`);
    expect(await copied(page)).toEqual(expected);
    await page.getByLabel("Sequence diagram: arrow keys step through it").focus();
    await page.keyboard.press("Home");
    expect(await page.locator(".race-move h3").textContent()).toBe("Before the first move");
    for (const [i, step] of steps.entries()) {
      await page.keyboard.press(i % 2 === 0 ? "ArrowRight" : "ArrowDown");
      await page.getByText(`${i + 1} / ${steps.length}`).waitFor();
      const { actor, ...told } = step;
      expect(await shownMove(page)).toEqual(told);
      expect(await page.locator(".race-move h3").textContent()).toBe(`${i + 1}. ${actor} ${step.step}`);
    }
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => page.url()).toContain(`step=${steps.length}`);
    expect(await page.locator("svg[role=img] .moved").count()).toBe(steps.length);
    expect(await page.locator("svg.heads text").allTextContents()).toEqual([
      "device 0",
      "IOMMU",
      "cpu 0",
      "vcpu 0",
      "scheduler",
      "host",
    ]);
    await closePage(page);
  });

  test("a link reopens a search of its own size at the move that was looked at, and back leads where one was", async () => {
    const expected = await command("--vendor", "amd", "--without", "log-clear-interrupt", "--posts", "1");
    const page = await openPage("#/races?vendor=amd&without=log-clear-interrupt&posts=1&run=1&step=3");
    await page.locator(outcome).waitFor();
    expect(await page.locator(".race-control output").textContent()).toBe(
      `3 / ${expected.counterexample!.steps.length}`,
    );
    expect(await copied(page)).toEqual(expected);
    expect(await page.locator(".sequence .round").count()).toBe(1);
    await page.getByRole("radio", { name: /^block-hold-cpu/ }).check();
    await page.getByRole("heading", { name: /after/ }).filter({ hasNotText: "endless" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: /endless wakeup/ }).waitFor();
    expect(page.url()).toContain("step=3");
    const link = await page.getByRole("link", { name: "Open in Path" }).getAttribute("href");
    expect(link).toBe("#/path?race=amd&without=log-clear-interrupt&posts=1&play=base&step=3");
    await closePage(page);
  });

  test("explores the protocol as it is, and again when it is asked to", async () => {
    const expected = await command("--play", "two-halts");
    const page = await openPage("#/races?play=two-halts");
    const unasked = page.getByLabel("What happens meanwhile").locator("option").first();
    expect(await unasked.textContent()).toBe("all of these but release-count");
    const explore = page.getByRole("button", { name: "Explore every order" });
    await explore.click();
    await page.locator(outcome).waitFor();
    await page.locator(outcome).evaluate((heading) => heading.classList.add("first"));
    await explore.click();
    await page.locator(`${outcome}:not(.first)`).waitFor();
    expect(await page.locator(outcome).textContent()).toContain("nothing goes wrong in any order");
    expect(await copied(page)).toEqual(expected);
    const row = await page.locator(".race-plays tbody tr").first().locator("td").allTextContents();
    const [play] = expected.plays;
    expect(row.slice(0, 3)).toEqual(
      [play!["states"], play!["transitions"], play!["depth"]].map((count) =>
        (count as number).toLocaleString("en"),
      ),
    );
    await closePage(page);
  });

  test("counts while it explores, ends on request, and starts another", async () => {
    const page = await openPage("#/races?vcpus=3&cpus=3&posts=6&run=1");
    const states = page.locator(".race-count dd").first();
    await states.waitFor();
    const first = await states.textContent();
    await expect.poll(() => states.textContent(), { timeout: 10_000 }).not.toBe(first);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("heading", { name: "Stopped" }).waitFor();
    expect(await page.locator(".race-result p").textContent()).toMatch(/^[\d,]+ states of base were seen/);
    for (const again of ["Explore every order", "Explore it again"]) {
      await page.getByRole("button", { name: again }).click();
      await states.waitFor();
      await page.getByRole("button", { name: "Stop" }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Stopped" }).waitFor();
      await page.keyboard.press("Tab");
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Explore it again");
    }
    await page.getByRole("radio", { name: /^recompute-on/ }).check();
    await page.locator(outcome).waitFor();
    expect(await page.locator(outcome).textContent()).toContain("lost interrupt");
    await closePage(page);
  });

  test("refuses what there is not in one line, and shows it as text", async () => {
    const page = await openPage("#/races");
    const refused: readonly (readonly [query: string, message: string])[] = [
      ["vendor=arm", 'vendor "arm": expected intel or amd'],
      ["vcpus=9", 'vcpus "9": expected a whole number from 1 to 4'],
      ["without=%3Cimg%20src=x%20onerror=alert(1)%3E", 'without "<img src=x onerror=alert(1)>": expected'],
      ["play=chess", 'play "chess": expected base, software'],
    ];
    for (const [query, message] of refused) {
      await page.evaluate((hash) => (location.hash = hash), `#/races?${query}&run=1`);
      await page.getByRole("alert").filter({ hasText: message }).waitFor();
    }
    expect(await page.locator("img").count()).toBe(0);
    await closePage(page);
  });

  test.each(["light", "dark"] as const)(
    "has nothing grave for axe with a counterexample, %s",
    async (scheme) => {
      const page = await openPage("#/races?without=recompute-on&run=1&step=2", { scheme, width: 1024 });
      await page.locator(outcome).waitFor();
      expect(await graveFindings(page)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)).toBe(false);
      await closePage(page);
    },
  );
});
