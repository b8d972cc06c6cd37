import { readFileSync } from "node:fs";
import { type Trial, tryRequest } from "@intremap/core";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { run } from "../../cli/src/program.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { graveFindings } from "./axe.ts";
import { browserMissing, closePage, hashAfter, openPage } from "./page.ts";

type Result = Readonly<Record<string, number>> & {
  readonly episodes: readonly { readonly what: string }[];
  readonly stacks: readonly { readonly frames: readonly string[] }[];
};

/** What the command prints. */
async function printed(...words: string[]): Promise<Result & { readonly compared: Result | null }> {
  const io = testIo();
  await run(["run", ...words, "--json"], io);
  return JSON.parse(io.out()) as Result & { readonly compared: Result | null };
}

const figures = [
  "raised",
  "delivered",
  "coalesced",
  "lost",
  "blocked",
  "hijacked",
  "vmExits",
  "notifications",
  "hostInterrupts",
  "wakeups",
  "ipis",
  "remapped",
  "posted",
];

/** The figures of each run on the page. */
async function shown(page: Page): Promise<Record<string, number>[]> {
  await page.locator(".outcomes tbody tr").first().waitFor();
  return page
    .locator(".outcomes tbody tr")
    .evaluateAll((rows) =>
      rows.map((row) =>
        Object.fromEntries(
          [...row.querySelectorAll<HTMLElement>("[data-figure]")].map((cell) => [
            cell.dataset["figure"]!,
            Number(cell.textContent.replaceAll(",", "")),
          ]),
        ),
      ),
    );
}

function figuresOf(result: Result): Record<string, number> {
  return Object.fromEntries(figures.map((name) => [name, result[name]!]));
}

/** All of them, of which those are shown that are not 0, and some that are. */
function withZeros(runs: readonly Record<string, number>[]): Record<string, number>[] {
  return runs.map((run) => Object.fromEntries(figures.map((name) => [name, run[name] ?? 0])));
}

/** Opens a scenario, and waits for its steps. */
async function openPath(query: string, options = {}): Promise<Page> {
  const page = await openPage(`#/path?${query}`, options);
  await page.locator(".step-row").first().waitFor();
  return page;
}

/** The titles of the steps, of which there are few enough to be seen at once. */
const titles = (page: Page): Promise<string[]> =>
  page
    .locator(".step-title")
    .evaluateAll((all) => all.map((title) => [...title.childNodes].at(-1)!.textContent ?? ""));

const chosen = (page: Page) => page.locator(".step-row[aria-selected=true]");
const number = async (page: Page) => Number(await chosen(page).locator(".step-number").textContent());

/** Waits until the address says that one is at this step. */
async function arrived(page: Page, step: number): Promise<void> {
  await page.waitForFunction((wanted) => new RegExp(`[?&]step=${wanted}(&|$)`).test(location.hash), step);
  expect(await number(page)).toBe(step);
}

describe.skipIf(browserMissing)("the path", { timeout: 60_000 }, () => {
  test("comes to the figures that the command prints, with parameters and with another run beside it", async () => {
    const page = await openPath("scenario=passthrough-posted&vectors=3&interrupts=2");
    const alone = await printed("passthrough-posted", "--vectors", "3", "--interrupts", "2");
    expect(withZeros(await shown(page))).toEqual([figuresOf(alone)]);
    expect(Object.keys((await shown(page))[0]!)).toEqual(expect.arrayContaining(["lost", "blocked"]));
    await page.getByLabel("Beside it").selectOption("passthrough-remapped");
    await page.locator(".outcomes tbody tr").nth(1).waitFor();
    expect(withZeros(await shown(page))).toEqual([figuresOf(alone), figuresOf(alone.compared!)]);
    expect(new URL(page.url()).hash).toContain("compare=passthrough-remapped");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Run as JSON" }).click();
    const file = await (await download).path();
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(alone);
    await page.goBack();
    await page.waitForFunction(() => document.querySelectorAll(".outcomes tbody tr").length === 1);
    await closePage(page);
  });

  test("is gone through by keys, and its address reopens the step", async () => {
    const page = await openPath("scenario=affinity-change");
    expect(await number(page)).toBe(1);
    for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"]) await page.keyboard.press(key);
    await arrived(page, 3);
    await page.keyboard.press("Home");
    await arrived(page, 1);
    await page.keyboard.press("End");
    const last = await page
      .locator(".step-row")
      .count()
      .then(() => number(page));
    await arrived(page, last);
    const total = Number(
      (await page.locator(".transport .count").textContent())!.split(" of ")[1]!.replace(",", ""),
    );
    expect(last).toBe(total);

    await page.keyboard.press("Home");
    await page.keyboard.press("Shift+ArrowRight");
    await page.waitForFunction(() =>
      document.querySelector(".step-where")!.textContent.includes("interrupt 1"),
    );
    await page.keyboard.press("Shift+ArrowRight");
    await page.waitForFunction(() =>
      document.querySelector(".step-where")!.textContent.includes("interrupt 2"),
    );
    await page.keyboard.press("PageDown");
    const again = await openPage(await hashAfter(page));
    const title = await page.locator(".step-panel h3").textContent();
    await again.locator(".step-row").first().waitFor();
    expect(await again.locator(".step-panel h3").textContent()).toBe(title);
    expect(await number(again)).toBe(await number(page));
    await closePage(again);
    await closePage(page);
  });

  test("tells the episodes of the run, in their order", async () => {
    const page = await openPath("scenario=affinity-change");
    const { episodes } = await printed("affinity-change");
    const seen = [await page.locator(".step-panel .episode").textContent()];
    for (;;) {
      const before = await number(page);
      await page.keyboard.press("PageDown");
      await page.waitForTimeout(30);
      if ((await number(page)) === before) break;
      seen.push(await page.locator(".step-panel .episode").textContent());
    }
    expect(seen).toEqual(episodes.map(({ what }) => what));
    await closePage(page);
  });

  test("names rule and section, the bits, and the calls that the command counts", async () => {
    const page = await openPath("scenario=passthrough-posted&vectors=1&interrupts=1&request=1");
    const title = page.locator(".step-panel h3");
    while (!(await title.textContent())!.startsWith("modify_irte writes entry")) {
      await page.keyboard.press("ArrowLeft");
    }
    const frames = await page.locator(".calls li code").allTextContents();
    const { stacks } = await printed(
      "passthrough-posted",
      "--vectors",
      "1",
      "--interrupts",
      "1",
      "--stacks",
      "modify_irte",
    );
    // The command counts what the kernel calls; who called the kernel stands behind that.
    expect(stacks.map((one) => one.frames)).toContainEqual(
      frames.slice(
        0,
        stacks.find(({ frames: counted }) => counted.every((frame, i) => frames[i] === frame))?.frames.length,
      ),
    );
    expect(await page.locator(".touched .written").first().textContent()).toBe("written");
    expect(await page.locator(".touched .bit-row").first().getAttribute("aria-label")).toMatch(
      /\bim\b|\bp 0x1/,
    );

    while (!(await title.textContent())!.startsWith("source-id verification")) {
      await page.keyboard.press("ArrowRight");
    }
    await page.locator(".step-panel .rule summary").click();
    expect(await page.locator(".step-panel .rule").textContent()).toMatch(/vtd\.ir\.[a-z-]+ VT-d 5\.10 §/);
    await closePage(page);
  });

  test("puts two runs in step: the interrupt of the one beside the same of the other", async () => {
    const page = await openPath(
      "scenario=passthrough-posted&vectors=1&interrupts=3&compare=passthrough-remapped&request=2",
    );
    const where = await page.locator(".step-where").allTextContents();
    expect(where).toHaveLength(2);
    for (const one of where) expect(one).toContain("interrupt 2");
    expect(await page.locator(".path-diagram svg").count()).toBe(2);
    await closePage(page);
  });

  test("plays by itself, and stops when one steps", async () => {
    const page = await openPath("scenario=affinity-change&speed=30");
    await page.getByRole("button", { name: "Play" }).click();
    await page.waitForFunction(
      () => Number(document.querySelector(".step-row[aria-selected=true] .step-number")!.textContent) > 4,
    );
    await page.getByRole("button", { name: "Pause" }).click();
    const at = await number(page);
    await page.waitForTimeout(200);
    expect(await number(page)).toBe(at);
    await closePage(page);
  });

  test("says in one line what cannot be run, and shows markup as text", async () => {
    const page = await openPage(`#/path?scenario=${encodeURIComponent("<img src=x onerror=alert(1)>")}`);
    expect(await page.getByRole("alert").textContent()).toContain(
      "<img src=x onerror=alert(1)>: none has this name",
    );
    await page.goto(page.url().replace(/#.*/, "#/path?scenario=passthrough-posted&vectors=9999999"));
    await page.getByRole("alert").getByText("parameters.vectors").waitFor();
    await closePage(page);
  });

  test("can be stopped while it runs, and run again", async () => {
    const page = await openPage("#/path?scenario=passthrough-posted&vectors=200&interrupts=500");
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Run it again" }).click();
    await page.getByRole("button", { name: "Stop" }).waitFor();
    await closePage(page);
  });

  test("steps through a counterexample of Races", async () => {
    const page = await openPath("race=intel&without=recompute-on&step=2");
    expect(await number(page)).toBe(2);
    await closePage(page);
  });

  test("sends a request of the address to its entry, and tells each step of the decision", async () => {
    const trial: Trial = {
      vendor: "intel",
      entry: 0x0004_0018_0000_0200_0022_000dn | (0n << 96n),
      address: 0xfee0_0018n,
      data: 0,
      requester: 0x0100,
    };
    const { steps, outcome, rule } = tryRequest(trial);
    const page = await openPath("irte=0000000000040018 000002000022000d&msi=fee00018 0000&sid=01:00.0");
    expect(await page.locator(".request-outcome").textContent()).toContain(
      `${outcome} 26h at: source-id verification ${rule}`,
    );
    expect(await titles(page)).toEqual(steps.map(({ title }) => title));
    await page.getByRole("textbox", { name: "Requester" }).fill("00:03.0");
    await page.keyboard.press("Enter");
    await page.locator(".request-outcome.remapped").waitFor();
    await page.goBack();
    await page.locator(".request-outcome.blocked").waitFor();
    await closePage(page);
  });

  test("leaves what is typed alone while steps go by", async () => {
    for (const [query, role, typed] of [
      ["scenario=passthrough-posted", "spinbutton", "3"],
      ["irte=0000000000040018 000002000022000d&msi=fee00018 0000", "textbox", "00:03.1"],
    ] as const) {
      const page = await openPath(query);
      const box = page.getByRole(role).last();
      await box.fill(typed);
      await page.evaluate((hash) => (location.hash = hash), `#/path?${query}&step=4`);
      await arrived(page, 4);
      expect(await box.inputValue()).toBe(typed);
      await box.press("Enter");
      await expect.poll(() => new URL(page.url()).hash).toContain(`=${encodeURIComponent(typed)}`);
      await closePage(page);
    }
  });

  test("goes on from a request that cannot be sent: it stands in its form", async () => {
    const page = await openPath("irte=0000000000040018 000002000022000d&msi=fee00018 0000");
    const texts: readonly (readonly [name: string, wrong: string, sound: string])[] = [
      ["Requester", "zz", "0000:00:03.0"],
      ["Message", "zz", "fee00018 0000"],
      ["Entry", "zz", "0000000000040018 000002000022000d"],
    ];
    for (const [name, wrong, sound] of texts) {
      const text = page.getByRole("textbox", { name });
      await text.fill(wrong);
      await text.press("Enter");
      await page.getByRole("alert").waitFor();
      expect(await text.inputValue()).toBe(wrong);
      await text.fill(sound);
      await text.press("Enter");
      await page.locator(".request-outcome.remapped").waitFor();
    }
    await page.getByRole("textbox", { name: "Requester" }).fill("zz");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Start from a sound request" }).click();
    await page.locator(".request-outcome.remapped").waitFor();
    for (const query of ["irte=zz", "msi=fee00339 0000", "amd-irte=00310141&profile=nope&dte=zz"]) {
      await page.evaluate((hash) => (location.hash = hash), `#/path?${query}`);
      await page.getByRole("alert").waitFor();
      await page.getByRole("button", { name: "Start from a sound request" }).click();
      await page.locator(".request-outcome.remapped").waitFor();
    }
    await closePage(page);
  });

  test("posts to the descriptor that it is given, to one of zeros unless told", async () => {
    const page = await openPath("irte=0000000000040018 0000000000518001&msi=fee00018 0000");
    const text = page.getByRole("textbox", { name: "Descriptor" });
    expect(await text.getAttribute("placeholder")).toBe("a descriptor of zeros");
    expect((await titles(page)).at(-1)).toContain("the notification goes out as vector 00h");
    await text.fill("1 0 0 0 0000010000f20000 0 0 0");
    await text.press("Enter");
    await expect
      .poll(async () => (await titles(page)).at(-1))
      .toContain("the notification goes out as vector f2h");
    await closePage(page);
  });

  test("is left by back as it was entered: one step after the other", async () => {
    const page = await openPath("scenario=affinity-change");
    for (const row of [3, 6, 9]) {
      await page
        .locator(".step-row")
        .nth(row - 1)
        .click();
      await arrived(page, row);
    }
    for (const row of [6, 3]) {
      await page.goBack();
      await arrived(page, row);
    }
    await page.goBack();
    await page.waitForFunction(() => !location.hash.includes("step="));
    await expect.poll(() => number(page)).toBe(1);
    await closePage(page);
  });

  test("goes where the address leads, also while a step is not yet written to it", async () => {
    const page = await openPath("scenario=affinity-change&step=2");
    // The event that tells of a change comes later than the change: here, not at all.
    await page.addInitScript(() => {
      addEventListener("hashchange", (event) => event.stopImmediatePropagation());
    });
    await page.reload();
    await chosen(page).waitFor();
    await page.evaluate(() => {
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "End", bubbles: true }));
      location.hash = "#/path?scenario=nosid-spoof&step=3";
    });
    await expect.poll(() => number(page)).toBe(3);
    expect(new URL(page.url()).hash).toBe("#/path?scenario=nosid-spoof&step=3");
    await closePage(page);
  });

  test("is left while its list of steps scrolls: that is told when the list is gone", async () => {
    const page = await openPath("scenario=affinity-change");
    const list = await page.locator(".step-list").elementHandle();
    await page.getByRole("link", { name: "Races" }).click();
    await page.locator(".step-list").waitFor({ state: "detached" });
    await list.evaluate((gone) => gone.dispatchEvent(new Event("scroll")));
    await closePage(page);
  });

  test("says what it does not have of what the address asks for", async () => {
    const page = await openPath("scenario=affinity-change&request=77");
    const said = page.locator(".stepper .notice");
    expect(await said.textContent()).toBe("No step that is kept is of interrupt 77: this is step 1.");
    for (const [step, told] of [
      ["abc", "There is no step abc: this is step 1."],
      ["99999", /^There is no step 99999: this is step \d+\.$/],
    ] as const) {
      await page.evaluate((hash) => (location.hash = hash), `#/path?scenario=affinity-change&step=${step}`);
      await expect.poll(() => said.textContent()).toMatch(told);
    }
    await page.keyboard.press("Home");
    await expect.poll(() => said.count()).toBe(0);
    await page.goto(page.url().replace(/#.*/, "#/path?scenario=passthrough-posted&vectors=1.5"));
    expect(await page.getByRole("alert").textContent()).toContain(
      'parameters.vectors: "1.5", expected a whole number from 1 to 200',
    );
    await closePage(page);
  });

  test("is offered beside itself where it can be set otherwise", async () => {
    for (const [scenario, count] of [
      ["affinity-change", 0],
      ["passthrough-posted", 1],
    ] as const) {
      const page = await openPath(`scenario=${scenario}`);
      expect(await page.getByRole("option", { name: "the same, set otherwise" }).count()).toBe(count);
      await closePage(page);
    }
  });

  test.each([
    ["scenario=passthrough-posted&request=1", 1280],
    ["scenario=nosid-spoof&compare=with-verification&request=1", 1280],
  ])("shows the row and the step at which one arrives: %s", async (query, width) => {
    const page = await openPath(query, { width });
    const { top, height } = await page.evaluate(() => {
      const list = document.querySelector(".step-list")!.getBoundingClientRect();
      const row = document.querySelector(".step-row[aria-selected=true] .step-line")!.getBoundingClientRect();
      return { top: row.top - list.top, height: list.height };
    });
    expect(top).toBeGreaterThanOrEqual(0);
    expect(top).toBeLessThan(height / 2);
    if (query.includes("compare")) {
      const named = await page.locator(".run-step").allTextContents();
      expect(named).toEqual(
        await page
          .locator(".step-panel h3")
          .evaluateAll((all) => all.map((title) => title.firstChild!.textContent)),
      );
    }
    await closePage(page);
  });

  test("leaves keys that scroll to the step that is read", async () => {
    const page = await openPath("scenario=affinity-change&step=3");
    await page.locator(".step-panel").focus();
    for (const key of ["PageDown", "End", "Home", "PageUp", "Space"]) await page.keyboard.press(key);
    await page.waitForTimeout(100);
    expect(await number(page)).toBe(3);
    await page.keyboard.press("ArrowRight");
    await arrived(page, 4);
    await page.locator(".step-list").focus();
    await page.keyboard.press("End");
    expect(await number(page)).toBeGreaterThan(4);
    await closePage(page);
  });

  test("tells the step of the run that goes on, where the other does nothing", async () => {
    const page = await openPath("scenario=nosid-spoof&compare=with-verification&request=1");
    const live = (): Promise<string[]> =>
      page
        .locator(".step-panel")
        .evaluateAll((panels) =>
          panels.filter((panel) => panel.querySelector("[aria-live=polite]")).map((panel) => panel.className),
        );
    for (let row = 0; row < 16; row++) {
      expect(await live()).toEqual(["step-panel"]);
      await page.keyboard.press("ArrowRight");
    }
    await closePage(page);
  });

  test("steps through an interrupt that Machine followed", async () => {
    const table = `Remapped Interrupt supported on IOMMU: dmar0
 IR table address:100900000
 Entry SrcID   DstID    Vct IRTE_high           IRTE_low
 7     00:0a.0 00000001 24  0000000000040050    000000010024000d
****
`;
    const io = testIo(table);
    await run(["follow", "dmar0:7", "--from", "-", "--json"], io);
    const { path } = JSON.parse(io.out()) as { path: { title: string }[] };
    const query = new URLSearchParams({ source: "text", text: table, at: "dmar0:7" });
    const page = await openPage(`#/machine?${query.toString()}`);
    await page.getByRole("button", { name: "Step through it in Path" }).click();
    await page.locator(".step-row").first().waitFor();
    expect(await titles(page)).toEqual(path.map(({ title }) => title));
    await closePage(page);
  });

  test("says of an interrupt of a host that a link does not hold it", async () => {
    const page = await openPage("#/path?follow=dmar0:22");
    expect(await page.locator(".notice").textContent()).toContain("dmar0:22 of a host that is not open");
    await closePage(page);
  });

  test.each([
    ["light", "scenario=passthrough-posted&request=1"],
    ["dark", "scenario=passthrough-posted&vectors=1&interrupts=2&compare=passthrough-remapped&request=2"],
  ] as const)("has nothing grave for axe in %s, and fits 1024 pixels", async (scheme, query) => {
    const page = await openPath(query, { scheme, width: 1024 });
    expect(await graveFindings(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)).toBe(false);
    await closePage(page);
  });
});
