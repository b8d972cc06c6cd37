import { gzipSync } from "node:zlib";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { graveFindings } from "./axe.ts";
import { browserMissing, closePage, openPage, pageFolder } from "./page.ts";

const views = ["paste", "path", "bits", "timeline", "machine", "races", "learn"];

describe.skipIf(browserMissing)("the page", () => {
  test("is no larger than 150 kB when it is first loaded", async () => {
    const folder = await pageFolder();
    const sizes = ["index.html", "app.js", "app.css"].map(
      (name) => gzipSync(readFileSync(join(folder, name)), { level: 9 }).length,
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    console.log(`first load: ${Math.round(total / 1000)} kB gzipped`);
    expect(total).toBeLessThanOrEqual(150_000);
  });

  test.each(views)(
    "opens the view %s by its address, in light and dark, with nothing grave for axe",
    async (view) => {
      const page = await openPage(`#/${view}`, { width: 1024 });
      expect(await page.locator("nav [aria-current=page]").textContent()).toBe(
        view[0]!.toUpperCase() + view.slice(1),
      );
      expect(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)).toBe(false);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        expect(await graveFindings(page), colorScheme).toEqual([]);
      }
      await closePage(page);
    },
  );

  test("fits a window of 1280 pixels that is shown at 200 %", async () => {
    for (const view of views) {
      const page = await openPage(`#/${view}`, { width: 640, height: 450 });
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(640);
      await closePage(page);
    }
  });

  test("says that there is no such view, above the one with which one begins", async () => {
    const page = await openPage("#/nonsense?x=1");
    expect(await page.getByRole("alert").textContent()).toContain('There is no view "nonsense"');
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Paste");
    await page.getByRole("link", { name: "Bits" }).click();
    expect(await page.getByRole("alert").count()).toBe(0);
    await closePage(page);
    const empty = await openPage("");
    expect(await empty.getByRole("alert").count()).toBe(0);
    await closePage(empty);
  });

  test("goes back and forward between views", async () => {
    const page = await openPage("#/paste");
    await page.getByRole("link", { name: "Bits" }).click();
    await page.getByRole("link", { name: "Races" }).click();
    await page.goBack();
    expect(await page.locator("nav [aria-current=page]").textContent()).toBe("Bits");
    await page.goForward();
    expect(await page.locator("nav [aria-current=page]").textContent()).toBe("Races");
    await closePage(page);
  });
});
