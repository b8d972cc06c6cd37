import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { report } from "../../cli/src/commands/report.ts";
import { readPage } from "../../cli/src/page/page-files.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { graveFindings } from "./axe.ts";
import { browserMissing, closePage, openPage, pageFolder } from "./page.ts";

/**
 * Every view with content, light and dark: a picture of each, for whoever calls it done to look at, in the folder that
 * INTREMAP_SCREENS names.
 */
const wanted = process.env["INTREMAP_SCREENS"];
const folder = wanted ?? mkdtempSync(join(tmpdir(), "intremap-screens-"));
if (wanted === undefined) afterAll(() => rmSync(folder, { recursive: true, force: true }));
else mkdirSync(wanted, { recursive: true });

const core = fileURLToPath(new URL("../../../captures/intel61-hold.core.xz", import.meta.url));
/** A report, whose policy is the narrowest that a view has to live with. */
const hostPage = join(folder, "host.html");
const patience = 20_000;

const fault =
  "DMAR: [INTR-REMAP] Request device [00:1f.0] fault index 0x25 [fault reason 0x26] Blocked an interrupt request due to source-id verification failure";

/** The picture's name, and where the view has something to show. */
const screens: readonly (readonly [name: string, hash: string])[] = [
  ["paste", `#/paste?${new URLSearchParams({ text: fault }).toString()}`],
  ["path", "#/path?scenario=affinity-change&request=2"],
  ["path-compare", "#/path?scenario=passthrough-posted&compare=passthrough-remapped&request=1"],
  ["bits", "#/bits?layout=irte-remapped&value=0000000000040050000000800024000d"],
  ["timeline", "#/timeline?scenario=passthrough-posted&request=3&scale=order"],
  ["machine", "#/machine?source=report"],
  ["machine-follow", "#/machine?source=report&at=dmar0:22"],
  ["machine-topology", "#/machine?source=report&show=topology"],
  ["races", "#/races?without=kick-on-assign&run=1&step=19"],
  ["races-amd", "#/races?vendor=amd&without=log-clear-interrupt&run=1&step=20"],
  ["learn", "#/learn"],
  ["learn-stop", "#/learn?stop=5"],
];
/** Waits until nothing is under way, and what is shown has not changed for a while. */
async function settled(page: Page): Promise<void> {
  const busy = page.locator("[aria-busy=true]");
  await expect.poll(() => busy.count(), { timeout: patience }).toBe(0);
  await page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        let timer = setTimeout(resolve, 400);
        const observer = new MutationObserver(() => {
          clearTimeout(timer);
          timer = setTimeout(resolve, 400);
        });
        observer.observe(document.body, { subtree: true, childList: true, characterData: true });
      }),
  );
}

describe.skipIf(browserMissing)("with content", { timeout: 3 * patience }, () => {
  beforeAll(async () => {
    const page = readPage(await pageFolder());
    expect(await report(core, [], { html: hostPage }, testIo(), page)).toBe(0);
  }, 60_000);

  test.each(screens)("%s is well in light and dark", async (name, hash) => {
    const page = await openPage(hash, { address: pathToFileURL(hostPage).href });
    await page.locator("main h1").first().waitFor({ timeout: patience });
    await settled(page);
    for (const scheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await page.evaluate(
        () => new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown))),
      );
      await page.screenshot({ path: join(folder, `${name}-${scheme}.png`) });
      expect.soft(await graveFindings(page), scheme).toEqual([]);
    }
    expect.soft(await page.locator(".notice.error, .notice.large").allTextContents()).toEqual([]);
    await page.setViewportSize({ width: 1024, height: 768 });
    await expect
      .poll(() => page.evaluate(() => document.documentElement.scrollWidth), { message: "1024 pixels wide" })
      .toBeLessThanOrEqual(1024);
    await closePage(page);
  });
});
