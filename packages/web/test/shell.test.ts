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
      for (const scheme of ["light", "dark"] as const) {
        const page = await openPage(`#/${view}`, { scheme, width: 1024 });
        expect(await page.locator("nav [aria-current=page]").textContent()).toBe(
          view[0]!.toUpperCase() + view.slice(1),
        );
        expect(await graveFindings(page)).toEqual([]);
        const wider = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
        expect(wider).toBe(false);
        await closePage(page);
      }
    },
  );

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
