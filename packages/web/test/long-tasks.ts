import type { Page } from "playwright-core";

declare global {
  var longTasks: number[];
}

/** Counts from now on what keeps the page's own thread for more than 50 ms. */
export function watchLongTasks(page: Page): Promise<void> {
  return page.evaluate(() => {
    globalThis.longTasks = [];
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) globalThis.longTasks.push(duration);
    }).observe({ type: "longtask" });
  });
}

/** The longest so far, in milliseconds; 0 if none was longer than 50. */
export function longestTask(page: Page): Promise<number> {
  return page.evaluate(() => Math.round(Math.max(0, ...globalThis.longTasks)));
}
