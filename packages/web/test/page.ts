import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, type Page, chromium } from "playwright-core";
import { afterAll, expect } from "vitest";
import { buildPage } from "../../../tools/build-page.ts";

/** Debian's; tests of the page are skipped, and say so, where there is none. */
const executablePath = "/usr/bin/chromium";
export const browserMissing = !existsSync(executablePath);

let browser: Promise<Browser> | undefined;
let folder: Promise<string> | undefined;

/** The page, built as `npm run build` builds it. */
export function pageFolder(): Promise<string> {
  folder ??= (async () => {
    const path = mkdtempSync(join(tmpdir(), "intremap-page-"));
    process.on("exit", () => rmSync(path, { recursive: true, force: true }));
    await buildPage(path);
    return path;
  })();
  return folder;
}

export interface PageOptions {
  readonly scheme?: "light" | "dark";
  readonly width?: number;
  readonly height?: number;
  /** In place of the folder: a report's file, or what is served, of which any part may be requested. */
  readonly address?: string;
}

/**
 * Opens the page from `file://`, in a browser of its own state. What it says to the console as an error, and any request
 * that leaves the folder, fails the test when the page is closed.
 * @param hash `#/bits?kind=irte`.
 */
export async function openPage(hash = "", options: PageOptions = {}): Promise<Page> {
  browser ??= chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--allow-file-access-from-files=false"],
  });
  const context = await (
    await browser
  ).newContext({
    viewport: { width: options.width ?? 1280, height: options.height ?? 900 },
    colorScheme: options.scheme ?? "light",
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const address = options.address ?? pathToFileURL(join(await pageFolder(), "index.html")).href;
  const wrong: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(error.stack ?? error.message));
  page.on("request", (request) => {
    const own = address.startsWith("http:") ? new URL(address).origin : "file:";
    if (!/^(?:file|blob|data):/.test(request.url()) && !request.url().startsWith(`${own}/`))
      wrong.push(`a request to ${request.url()}`);
  });
  complaints.set(page, wrong);
  await page.goto(`${address}${hash}`);
  return page;
}

/** The hash, once what was just done stands in it: the page writes it at most 60 ms later. */
export function hashAfter(page: Page): Promise<string> {
  return page.evaluate(() => new Promise((done) => setTimeout(() => done(location.hash), 100)));
}

const complaints = new WeakMap<Page, string[]>();

/** Closes a page, which has complained of nothing. */
export async function closePage(page: Page): Promise<void> {
  await page.context().close();
  expect(complaints.get(page)).toEqual([]);
}

afterAll(async () => {
  await (await browser)?.close();
  browser = undefined;
});
