// Measures the page in a browser against its goals: `npm run bench:page`, on a machine that does nothing else.
// Exit status 1 when a goal is missed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, type Page, chromium } from "playwright-core";
import { buildPage } from "../../tools/build-page.ts";

/** What was measured: at least, or at most, so much is wanted. */
interface Measure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

const patience = 120_000;
const mostTask = 200;
const traceLines = 130_000;

function capture(name: string): string {
  return fileURLToPath(new URL(`../../captures/${name}`, import.meta.url));
}

// What runs in the page is text: what tsx makes of a function does not stand alone.
const watchTasks = `
  globalThis.longTasks = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longTasks.push(duration);
  }).observe({ type: "longtask", buffered: true });`;

/** Pans for some seconds, a step each frame, and counts the frames. */
const pan = `(async () => {
  const element = document.querySelector(".chart-scroller");
  const { left, top } = element.getBoundingClientRect();
  const at = { clientX: left + 500, clientY: top + 100, bubbles: true, cancelable: true };
  const times = [];
  for (let i = 0; i < 240; i++) {
    element.dispatchEvent(new WheelEvent("wheel", { ...at, deltaX: i % 120 < 60 ? 12 : -12 }));
    times.push(await new Promise((done) => requestAnimationFrame(done)));
  }
  return (1000 * (times.length - 1)) / (times.at(-1) - times[0]);
})()`;

const zoomIn = `(() => {
  const element = document.querySelector(".chart-scroller");
  const { left, top } = element.getBoundingClientRect();
  element.dispatchEvent(new WheelEvent("wheel", {
    clientX: left + 500, clientY: top + 100, deltaY: -1500, ctrlKey: true, bubbles: true, cancelable: true,
  }));
})()`;

async function main(): Promise<Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "intremap-bench-"));
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    await buildPage(join(folder, "page"));
    const address = pathToFileURL(join(folder, "page", "index.html")).href;
    return [
      await usable(browser, address),
      ...(await million(browser, address)),
      await core(browser, address),
      await trace(browser, address, folder),
    ];
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
}

async function opened(browser: Browser, address: string): Promise<Page> {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
  page.setDefaultTimeout(patience);
  await page.addInitScript(watchTasks);
  await page.goto(address);
  return page;
}

async function longestTask(page: Page, what: string): Promise<Measure> {
  // Those of the last moment are told a moment later.
  await page.waitForTimeout(500);
  const value = await page.evaluate<number>("Math.max(0, ...longTasks)");
  await page.context().close();
  return { what, value, unit: "ms", atMost: mostTask };
}

async function usable(browser: Browser, address: string): Promise<Measure> {
  const page = await opened(browser, `${address}#/bits`);
  await page.locator("main h1").waitFor();
  const value = await page.evaluate<number>("performance.now()");
  await page.context().close();
  return { what: "from opening the page until it is usable", value, unit: "ms", atMost: 1000 };
}

async function million(browser: Browser, address: string): Promise<Measure[]> {
  const begun = Date.now();
  const page = await opened(browser, `${address}#/timeline?scenario=posted-msi-storm&bursts=12500`);
  await page.locator(".chart-canvas").waitFor();
  const value = (Date.now() - begun) / 1000;
  const about = (await page.locator(".timeline-about").textContent()) ?? "";
  const events = /([\d,]+) events/.exec(about)?.[1] ?? "0";
  const measures: Measure[] = [
    { what: `${events} events recorded and opened`, value, unit: "s" },
    {
      what: "events that are panned",
      value: Number(events.replaceAll(",", "")),
      unit: "events",
      atLeast: 1_000_000,
    },
  ];
  for (const stretch of ["all of them", "a hundredth", "some hundred"]) {
    const what = `panning ${events} events, ${stretch} in sight`;
    measures.push({ what, value: await page.evaluate<number>(pan), unit: "frames/s", atLeast: 50 });
    for (let i = 0; i < 5; i++) await page.evaluate(zoomIn);
    await page.waitForTimeout(300);
  }
  return [...measures, await longestTask(page, "longest task of the main thread meanwhile")];
}

async function core(browser: Browser, address: string): Promise<Measure> {
  const page = await opened(browser, `${address}#/machine`);
  await page.getByLabel("A file", { exact: true }).setInputFiles(capture("intel61-hold.core.xz"));
  await page.locator(".machine .rows").waitFor();
  return longestTask(page, "longest task of the main thread while a 12 MB vmcore is opened");
}

async function trace(browser: Browser, address: string, folder: string): Promise<Measure> {
  const { stdout } = spawnSync("xz", ["-dc", capture("qemu-7.2-intel-boot.log.xz")], { maxBuffer: 2 ** 28 });
  const lines = stdout.toString("latin1").trimEnd().split("\n");
  const path = join(folder, "trace.log");
  writeFileSync(path, `${[...lines, ...lines].slice(0, traceLines).join("\n")}\n`);
  const page = await opened(browser, `${address}#/timeline`);
  await page.locator("input[type=file]").first().setInputFiles(path);
  await page.locator(".chart-canvas").waitFor();
  return longestTask(
    page,
    `longest task while a trace of ${traceLines.toLocaleString("en")} lines is opened`,
  );
}

const measures = await main();
for (const { what, value, unit, atLeast, atMost } of measures) {
  const goal =
    atLeast !== undefined ? `at least ${atLeast}` : atMost !== undefined ? `at most ${atMost}` : "";
  console.log(
    `${what}: ${value.toFixed(unit === "s" ? 1 : 0)} ${unit}${goal === "" ? "" : ` (goal: ${goal})`}`,
  );
}
const missed = measures.some(
  ({ value, atLeast = -Infinity, atMost = Infinity }) => value < atLeast || value > atMost,
);
process.exitCode = missed ? 1 : 0;
