import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, describe, expect, test } from "vitest";
import { run } from "../../cli/src/program.ts";
import { bootPath } from "../../cli/src/testing/captured-boot.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { type SeenTrace, readTrace } from "../../core/src/machine/perfetto/testbed.ts";
import { graveFindings } from "./axe.ts";
import { browserMissing, closePage, hashAfter, openPage } from "./page.ts";

const folder = mkdtempSync(join(tmpdir(), "intremap-timeline-"));
afterAll(() => rmSync(folder, { recursive: true }));

const posted = "#/timeline?scenario=passthrough-posted&vectors=2&interrupts=3";

/** The page with a timeline that has come up. */
async function openTimeline(hash: string, options: Parameters<typeof openPage>[1] = {}): Promise<Page> {
  const page = await openPage(hash, options);
  await page.locator(".chart-canvas").waitFor();
  return page;
}

function query(page: Page): URLSearchParams {
  return new URLSearchParams(new URL(page.url()).hash.split("?")[1]);
}

async function saved(page: Page): Promise<SeenTrace> {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save for Perfetto" }).click();
  const path = join(folder, "saved.pftrace");
  await (await download).saveAs(path);
  return readTrace(readFileSync(path));
}

/** Each track's events, in their order. */
function byTrack({ events, tracks }: SeenTrace): Record<string, unknown[]> {
  return Object.fromEntries(
    tracks.map(({ name }) => [
      name,
      events
        .filter(({ track }) => track === name)
        .map(({ type, time, name: what, flows, lastFlows, values }) => [
          type,
          time,
          what,
          flows,
          lastFlows,
          values,
        ]),
    ]),
  );
}

describe.skipIf(browserMissing)("the timeline", { timeout: 120_000 }, () => {
  test.each([
    ["passthrough-posted", ["--vectors", "2", "--interrupts", "3"], posted],
    ["vcpu-preempted", [], "#/timeline?scenario=vcpu-preempted"],
  ])("of %s saves the trace that `run --timeline` writes", async (scenario, options, hash) => {
    const file = join(folder, "command.pftrace");
    const io = testIo(undefined, { NO_COLOR: "1" });
    await run(["run", scenario, ...options, "--timeline", file], io);
    const page = await openTimeline(hash);
    const [here, there] = [await saved(page), readTrace(readFileSync(file))];
    expect(here.tracks).toEqual(there.tracks);
    expect(byTrack(here)).toEqual(byTrack(there));
    const shown = there.events.filter(({ type }) => type !== "end").length;
    await page.getByText(`${shown.toLocaleString("en")} events.`).waitFor();
    await closePage(page);
  });

  test("leads from a write to the handler, to its values, and to Path", async () => {
    const page = await openTimeline(`${posted}&request=4`);
    const details = page.getByRole("region", { name: "Selection" });
    expect(await details.getByRole("heading", { level: 2 }).textContent()).toBe("MSI write");
    expect(await details.locator(".timeline-flow button").allTextContents()).toEqual([
      "MSI write",
      "interrupt request",
      "posted",
      "vector f2h",
      expect.stringMatching(/^virtual vector 2[0-9a-f]h$/),
    ]);
    await details.getByRole("button", { name: "posted" }).click();
    expect(await details.locator("dt").allTextContents()).toEqual(
      expect.arrayContaining(["descriptor", "vector", "notified"]),
    );
    const href = await details.getByRole("link", { name: "Interrupt 4 in Path" }).getAttribute("href");
    expect(href).toBe("#/path?scenario=passthrough-posted&interrupts=3&vectors=2&request=4");
    await page.goBack();
    await details.getByRole("heading", { name: "MSI write" }).waitFor();
    await closePage(page);
  });

  test.each<[what: string, query: string, title: string, last: string | RegExp]>([
    ["the fault, where the unit interrupts first", "hostile-device&request=1", "Interrupt 1", "blocked"],
    [
      "the vCPU, where the guest log interrupts first",
      "amd-avic&request=11",
      "Interrupt 11",
      /^virtual vector/,
    ],
    [
      "the handler, where the guest is left",
      "passthrough-remapped&request=1",
      "Interrupt 1",
      "asm_common_interrupt",
    ],
    [
      "the descriptor, where nobody is notified",
      "posted-msi-storm&request=2",
      "Interrupt 2, posted without a notification of its own",
      "posted",
    ],
  ])("leads from a write to %s", async (_, hash, title, last) => {
    const page = await openTimeline(`#/timeline?scenario=${hash}`);
    const details = page.getByRole("region", { name: "Selection" });
    await details.getByRole("heading", { name: title, exact: true }).waitFor();
    const flow = await details.locator(".timeline-flow button").allTextContents();
    expect(flow.slice(0, 2)).toEqual(["MSI write", "interrupt request"]);
    expect(flow.at(-1)).toMatch(last);
    await closePage(page);
  });

  test("shows the calls in which a register was written, as the model made them", async () => {
    const page = await openTimeline(`${posted}&find=register+written`);
    await page.getByRole("button", { name: "Next hit" }).click();
    const calls = page.getByRole("region", { name: "Selection" }).locator(".timeline-calls button");
    expect((await calls.allTextContents()).at(-1)).toBe("start_kernel");
    await page.getByText(/^1 of \d+$/).waitFor();
    await calls.first().click();
    expect(await page.getByRole("region", { name: "Selection" }).getByText("took").count()).toBe(1);
    await closePage(page);
  });

  test("is worked by keys, and its link opens the same", async () => {
    const page = await openTimeline(`${posted}&request=2`);
    await page.locator(".chart-scroller").focus();
    const said = page.locator("[role=status].visually-hidden");
    const steps: [key: string, says: RegExp][] = [
      [".", /^interrupt request on unit/],
      ["ArrowDown", /^table entry on unit/],
      ["ArrowRight", /^posted on unit/],
      ["ArrowUp", /^interrupt request on unit/],
      [",", /^MSI write on nic/],
      ["ArrowLeft", /^MSI write on nic/],
    ];
    for (const [key, says] of steps) {
      await page.keyboard.press(key);
      await expect.poll(() => said.textContent()).toMatch(says);
    }
    await page.keyboard.press("f");
    await page.keyboard.press("w");
    await expect
      .poll(() => Number(query(page).get("to") ?? Infinity) - Number(query(page).get("from")))
      .toBeLessThan(6);
    const across = await page.locator(".shown").textContent();
    const again = await openTimeline(await hashAfter(page));
    expect(await again.locator(".shown").textContent()).toBe(across);
    expect(await again.locator("[role=status].visually-hidden").textContent()).toBe(await said.textContent());
    await page.keyboard.press("0");
    await expect.poll(() => query(page).get("from")).toBe(null);
    await page.keyboard.press("Escape");
    await expect.poll(() => query(page).get("select")).toBe(null);
    await page.keyboard.press("ArrowDown");
    await expect.poll(() => query(page).get("select")).toBe("0");
    await page.keyboard.press("/");
    const focused = () => page.evaluate(() => document.activeElement?.ariaLabel);
    expect(await focused()).toBe("Search names of events and tracks");
    await page.keyboard.press("Escape");
    expect(await focused()).toBe("Tracks");
    await page.keyboard.press("/");
    await page.keyboard.type("vector");
    await page.keyboard.press("ArrowDown");
    expect(await focused()).toBe("Tracks");
    await closePage(again);
    await closePage(page);
  });

  test("zooms and pans by mouse, folds tracks, and selects what is clicked", async () => {
    const page = await openTimeline(posted);
    const canvas = page.locator(".chart-canvas");
    await canvas.hover({ position: { x: 500, y: 60 } });
    await page.keyboard.down("Control");
    await page.mouse.wheel(0, -600);
    await page.keyboard.up("Control");
    await expect.poll(() => query(page).has("from")).toBe(true);
    const from = query(page).get("from");
    await page.mouse.down();
    await page.mouse.move(800, 400, { steps: 4 });
    await page.mouse.up();
    await expect.poll(() => query(page).get("from")).not.toBe(from);
    await page.getByRole("radio", { name: "order" }).check();
    await page.getByRole("button", { name: "All", exact: true }).click();
    await page.getByRole("button", { name: "swapper/0" }).click();
    await expect.poll(() => query(page).get("folded")).not.toBe(null);
    expect(await page.getByRole("button", { name: "swapper/0" }).getAttribute("aria-expanded")).toBe("false");
    await page.goBack();
    await page.locator("[aria-expanded=true]", { hasText: "swapper/0" }).waitFor();
    await closePage(page);
  });

  test("of a trace of a whole boot holds every line, and its requests are those of `replay`", async () => {
    const page = await openPage("#/timeline");
    await page.locator("input[type=file]").first().setInputFiles(bootPath("intel"));
    await page.locator(".chart-canvas").waitFor();
    await page.getByText("QEMU trace, VT-d, 92,966 lines").waitFor();
    const io = testIo(undefined, { NO_COLOR: "1" });
    await run(["replay", bootPath("intel"), "--json"], io);
    const { requests, lines } = JSON.parse(io.out()) as { requests: number; lines: number };
    expect(lines).toBe(92_966);
    await page.getByRole("searchbox").fill("interrupt request");
    await page.getByText(`${requests.toLocaleString("en")} found`).waitFor();
    await page.getByRole("searchbox").fill("table entry");
    await page.getByRole("button", { name: "Next hit" }).click();
    await page.getByRole("button", { name: "interrupt request" }).click();
    const href = await page.getByRole("link", { name: "This request in Path" }).getAttribute("href");
    expect(href).toBe("#/path?irte=0x4ff00+0x1000030000d&msi=0xfee00030+0x2&eime=0");
    // The model makes of it what QEMU did.
    await page.getByRole("link", { name: "This request in Path" }).click();
    await page.getByText("vector 0x30 to logical destination 0x1").first().waitFor();
    await page.goBack();
    await page.locator(".chart-canvas").waitFor();
    // A file is not in the link: it asks for it by name and size.
    const again = await openPage(await hashAfter(page));
    await again.getByRole("heading", { name: "This link shows qemu-7.2-intel-boot.log.xz" }).waitFor();
    await closePage(again);
    await closePage(page);
  });

  test("takes no more rectangles for a million events than the page is wide", async () => {
    const page = await openPage("#/timeline");
    await page.evaluate(() => {
      const counts = { frames: 0, drawn: 0, most: 0, now: 0, long: [] as number[] };
      Object.assign(globalThis, { counts });
      const fillRect: unknown = Reflect.get(CanvasRenderingContext2D.prototype, "fillRect");
      CanvasRenderingContext2D.prototype.fillRect = function count(this: CanvasRenderingContext2D, ...given) {
        counts.now++;
        Reflect.apply(fillRect as () => void, this, given);
      };
      const frame = (): void => {
        if (counts.now > 0) counts.drawn++;
        counts.most = Math.max(counts.most, counts.now);
        counts.now = 0;
        counts.frames++;
        requestAnimationFrame(frame);
      };
      frame();
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) counts.long.push(Math.round(duration));
      }).observe({ type: "longtask" });
    });
    const begun = Date.now();
    await page.evaluate(() => (location.hash = "#/timeline?scenario=posted-msi-storm&bursts=12500"));
    await page.locator(".chart-canvas").waitFor();
    const opened = Date.now() - begun;
    const events = /([\d,]+) events/.exec((await page.locator(".timeline-about").textContent())!)![1]!;
    expect(Number(events.replaceAll(",", ""))).toBeGreaterThan(1_000_000);
    const counts = await page.evaluate(async () => {
      const element = document.querySelector(".chart-scroller")!;
      const { left, top } = element.getBoundingClientRect();
      const at = { clientX: left + 500, clientY: top + 100, bubbles: true, cancelable: true };
      const { counts } = globalThis as unknown as { counts: { most: number; long: number[] } };
      const wheel = (init: WheelEventInit) =>
        element.dispatchEvent(new WheelEvent("wheel", { ...at, ...init }));
      const times: number[] = [];
      for (let i = 0; i < 90; i++) {
        wheel({ deltaX: i % 60 < 30 ? 15 : -15 });
        // From everything to some hundred events, on the way.
        if (i % 6 === 0) wheel({ deltaY: -250, ctrlKey: true });
        times.push(await new Promise<number>((done) => requestAnimationFrame(done)));
      }
      return { ...counts, rate: (1000 * (times.length - 1)) / (times.at(-1)! - times[0]!) };
    });
    console.log(
      `${events} events opened in ${opened} ms; panned and zoomed at ${counts.rate.toFixed(0)} frames/s, ` +
        `at most ${counts.most} rectangles a frame; tasks over 50 ms: ${counts.long.join(", ") || "none"}`,
    );
    const lanes = 40;
    expect(counts.most).toBeLessThan(lanes * 1280);
    expect(counts.rate).toBeGreaterThan(10);
    await closePage(page);
  });

  test("says what is wrong in one line", async () => {
    const page = await openPage("#/timeline?scenario=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E");
    await page.getByRole("alert").getByText("none has this name").waitFor();
    await page.evaluate(() => (location.hash = "#/timeline?scenario=passthrough-posted&vectors=100000"));
    await page
      .getByRole("alert")
      .getByText(/vectors/)
      .waitFor();
    const buffer = Buffer.from("this is <b>no</b> trace\n".repeat(100));
    await page
      .locator("input[type=file]")
      .first()
      .setInputFiles({ name: "<b>x</b>.log", mimeType: "", buffer });
    await page.getByRole("alert").getByText("<b>x</b>.log: no trace events in 100 lines").waitFor();
    const zeros = Buffer.alloc(100_000);
    await page
      .locator("input[type=file]")
      .first()
      .setInputFiles({ name: "zeros", mimeType: "", buffer: zeros });
    await page
      .getByRole("alert")
      .getByText(/^zeros: /)
      .waitFor();
    await closePage(page);
  });

  test("stops a run that takes too long, and says so", async () => {
    const page = await openPage("#/timeline?scenario=passthrough-posted&interrupts=10000000");
    await page.getByText(/[\d,]+ events$/).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("heading", { name: "Stopped" }).waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Record it");
    await page.keyboard.press("Enter");
    await page.getByText(/[\d,]+ events$/).waitFor();
    await closePage(page);
  });

  test("of a run whose clock hardly goes shows one thing after the other, unless told", async () => {
    const page = await openTimeline("#/timeline?scenario=x2apic-optout");
    expect(await page.getByRole("radio", { name: "order" }).isChecked()).toBe(true);
    expect(await page.locator(".shown").textContent()).toMatch(/^[\d,]+ steps across$/);
    await page.getByText("what takes no time has a width too").waitFor();
    await page.getByRole("radio", { name: "time" }).check();
    await expect.poll(() => query(page).get("scale")).toBe("time");
    const again = await openTimeline(await hashAfter(page));
    expect(await again.getByRole("radio", { name: "time" }).isChecked()).toBe(true);
    await closePage(again);
    await closePage(page);
  });

  test.each(["light", "dark"] as const)(
    "has nothing grave for axe in %s, and fits 1024 pixels",
    async (scheme) => {
      const page = await openTimeline(`${posted}&request=3&find=vector`, { scheme, width: 1024 });
      await page.getByText("Keys").click();
      expect(await graveFindings(page)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)).toBe(false);
      await closePage(page);
    },
  );
});
