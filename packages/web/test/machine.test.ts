import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type MapRow, defaultMapColumns, mapColumns, nameStyleOf } from "@intremap/core";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { run } from "../../cli/src/program.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { graveFindings } from "./axe.ts";
import { browserMissing, closePage, hashAfter, openPage } from "./page.ts";

function capture(name: string): string {
  return fileURLToPath(new URL(`../../../captures/${name}`, import.meta.url));
}

/** Two units, one of them posting; an entry of the second lets every device through. */
const pasted = `IOMMU: dmar0 Register Base Address: fed90000
Name                    Offset          Contents
GSTS                    0x1c            0x00000000c7000000

Remapped Interrupt supported on IOMMU: dmar0
 IR table address:100900000
 Entry SrcID   DstID    Vct IRTE_high           IRTE_low
 0     00:0a.0 00000001 24  0000000000040050    000000010024000d
 1     00:0b.0 00000001 ef  0000000000040058    0000000100ef000d

Remapped Interrupt supported on IOMMU: dmar1
 IR table address:100300000
 Entry SrcID   DstID    Vct IRTE_high           IRTE_low
 7     00:00.0 00000002 26  0000000000000000    000000020026000d
****
`;

/** What a command prints with `--json` of a source, under the name that the page has for it. */
async function printed(
  args: readonly string[],
  from: string,
  name: string,
  input?: string,
): Promise<Record<string, unknown>> {
  const io = testIo(input, { NO_COLOR: "1" });
  await run([...args, "--from", from, "--json"], io);
  return JSON.parse(from === "-" ? io.out() : io.out().replaceAll(from, name)) as Record<string, unknown>;
}

async function saved(page: Page, label: string): Promise<Record<string, unknown>> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: label }).click(),
  ]);
  return JSON.parse(await readFile(await download.path(), "utf8")) as Record<string, unknown>;
}

async function choose(page: Page, path: string): Promise<void> {
  await page.getByLabel("A file", { exact: true }).setInputFiles(path);
  await page.locator(".machine .rows").waitFor();
}

async function paste(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox").fill(text);
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.locator(".machine .rows").waitFor();
}

/** Every row of the table, which is gone through to its end. */
async function tableRows(page: Page): Promise<string[][]> {
  const rows = new Map<number, string[]>();
  for (;;) {
    const seen = await page
      .locator("tbody tr[data-row]")
      .evaluateAll((list) =>
        list.map((row): [number, string[]] => [
          Number((row as HTMLElement).dataset["row"]),
          [...row.children].map((cell) => (cell.textContent === "—" ? "" : (cell.textContent ?? ""))),
        ]),
      );
    for (const [at, cells] of seen) rows.set(at, cells);
    const more = await page.locator(".rows").evaluate((rows) => {
      const before = rows.scrollTop;
      rows.scrollTop += 400;
      return rows.scrollTop > before;
    });
    if (!more) break;
    await page.evaluate(
      () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
    );
  }
  return [...rows].sort(([a], [b]) => a - b).map(([, cells]) => cells);
}

/** What a reader sees of the table and of the path beside it. */
async function shown(of: Page): Promise<{ rows: string[][]; heads: string[]; step: string | null }> {
  return {
    rows: await tableRows(of),
    heads: await of.locator(".rows thead th").allTextContents(),
    step: await of.locator(".steps [aria-current=step] .title").textContent(),
  };
}

describe.skipIf(browserMissing)("the view of a machine", { timeout: 60_000 }, () => {
  test.each([
    ["intel61-q72.tar.xz", "dmar0:18"],
    ["amd612.tar.xz", "irq 26"],
  ])("shows of %s what map, audit and follow print", async (name, subject) => {
    const page = await openPage("#/machine");
    await choose(page, capture(name));
    const map = await printed(["map"], capture(name), name);
    expect(await saved(page, "Map as JSON")).toEqual(map);
    expect(await saved(page, "Audit as JSON")).toEqual(await printed(["audit"], capture(name), name));

    const interrupts = map["interrupts"] as MapRow[];
    const style = nameStyleOf(interrupts);
    const cells = interrupts
      .filter(({ state }) => state !== "unused")
      .map((row) => defaultMapColumns.map((column) => mapColumns[column].cell(row, style)));
    expect(await tableRows(page)).toEqual(cells);

    await page.evaluate((at) => (location.hash += `&at=${encodeURIComponent(at)}`), subject);
    await page.locator(".steps").waitFor();
    const followed = await printed(["follow", subject], capture(name), name);
    expect(await saved(page, "Path as JSON")).toEqual(followed);
    const steps = followed["path"] as { title: string; verdict: string }[];
    expect(await page.locator(".steps > li > button .title").allTextContents()).toEqual(
      steps.map(({ title }) => title),
    );
    await closePage(page);
  });

  test("shows what the audit found, and follows what a finding is about", async () => {
    const page = await openPage("#/machine");
    await paste(page, pasted);
    const { findings } = await printed(["audit"], "-", "pasted text", pasted);
    const titles = (findings as { title: string }[]).map(({ title }) => title);
    expect(titles.length).toBeGreaterThan(0);
    expect(await page.locator(".audit-finding .title").allTextContents()).toEqual(titles);
    const one = page.locator(".audit-finding").filter({ hasText: "entry 7 of dmar1" }).first();
    await one.locator(".head").click();
    await one.getByRole("button", { name: "Follow dmar1:7" }).click();
    await page.getByRole("heading", { name: "Path of dmar1:7" }).waitFor();
    expect(new URL(page.url()).hash).toContain("at=dmar1%3A7");
    await closePage(page);
  });

  test("reopens a pasted text from its address, with its filter, order, columns, path and step", async () => {
    const page = await openPage("#/machine");
    await paste(page, pasted);
    await page.getByRole("button", { name: "vector" }).click();
    await page.getByRole("button", { name: "vector" }).click();
    await page.getByRole("searchbox").fill("unit:dmar0");
    await page.locator("summary").filter({ hasText: "Columns" }).click();
    await page.getByRole("checkbox", { name: /^delivery/ }).check();
    await page.getByRole("button", { name: /follow dmar0:0$/ }).click();
    await page.locator(".steps").waitFor();
    await page.locator(".steps [aria-current=step]").focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowDown");
    const before = await shown(page);
    expect(before.rows.map((row) => row[7])).toEqual(["0xef", "0x24"]);
    const again = await openPage(await hashAfter(page));
    await again.locator(".steps").waitFor();
    expect(await shown(again)).toEqual(before);
    await closePage(again);
    await closePage(page);
  });

  test("says in a reopened address which file it wants, and shows the rest as it was", async () => {
    const hash = "#/machine?source=file&name=intel61-q72.tar.xz&size=16464&show=budgets";
    const page = await openPage(hash);
    await page.getByText("This address shows intel61-q72.tar.xz").waitFor();
    expect(await page.locator(".notice").textContent()).toContain("16.5 kB");
    await page.getByLabel("A file", { exact: true }).setInputFiles(capture("intel61-q72.tar.xz"));
    await page.getByRole("heading", { name: "Messages of the devices" }).waitFor();
    expect(new URL(page.url()).hash).toBe(hash);
    await closePage(page);
  });

  test("opens a folder, and leaves alone what is of no use in it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "intremap-folder-"));
    mkdirSync(join(folder, "host/proc/4711"), { recursive: true });
    writeFileSync(
      join(folder, "host/proc/interrupts"),
      "           CPU0\n 26:          5   PCI-MSI 81920-edge      nvme0q0\n",
    );
    writeFileSync(join(folder, "host/proc/4711/maps"), "x".repeat(1000));
    const page = await openPage("#/machine");
    await page.getByLabel("A folder", { exact: true }).setInputFiles(join(folder, "host"));
    await page.locator(".machine .rows").waitFor();
    rmSync(folder, { recursive: true });
    expect(new URL(page.url()).hash).toMatch(/^#\/machine\?source=folder&name=host&size=\d{2}$/);
    expect(await page.locator("h1").textContent()).toBe("host");
    expect((await tableRows(page)).map((row) => row[3])).toEqual(["nvme0q0"]);
    await closePage(page);
  });

  test("goes back and forward through what was looked at, and keeps the host meanwhile", async () => {
    const page = await openPage("#/machine");
    await paste(page, pasted);
    await page.getByRole("button", { name: "Topology" }).click();
    await page.locator(".topology svg").waitFor();
    await page.getByRole("link", { name: "Bits" }).click();
    await page.goBack();
    await page.locator(".topology svg").waitFor();
    await page.goBack();
    await page.locator(".machine .rows").waitFor();
    await page.goForward();
    await page.locator(".topology svg").waitFor();
    await closePage(page);
  });

  test("draws the topology: devices, units, entries and processors, by keyboard too", async () => {
    const page = await openPage("#/machine");
    await paste(page, pasted);
    await page.getByRole("button", { name: "Topology" }).click();
    const nodes = page.locator(".topology .node");
    await nodes.first().waitFor();
    expect(await page.locator(".topology .node.unit").count()).toBe(2);
    expect(await page.locator(".topology .node.entry").count()).toBe(3);
    await page.locator('.topology .node[tabindex="0"]').focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    expect(await page.locator(".topology .node:focus").getAttribute("aria-label")).toMatch(
      /follow dmar\d:\d/,
    );
    await page.keyboard.press("Enter");
    await page.locator(".steps").waitFor();
    await page.locator(".topology .node.unit").first().click();
    await page.locator(".machine .rows").waitFor();
    expect(await page.getByRole("searchbox").inputValue()).toMatch(/^unit:dmar\d$/);
    await closePage(page);
  });

  test("goes through the table by keyboard", async () => {
    const page = await openPage("#/machine");
    await choose(page, capture("intel61-q72.tar.xz"));
    await page.locator('tbody button[tabindex="0"]').focus();
    await page.keyboard.press("End");
    const rows = Number(await page.locator(".rows table").getAttribute("aria-rowcount")) - 1;
    const at = page.locator("tbody tr:focus-within");
    await expect.poll(() => at.getAttribute("data-row"), { timeout: 10_000 }).toBe(String(rows - 1));
    await page.keyboard.press("ArrowUp");
    await expect.poll(() => at.getAttribute("data-row"), { timeout: 10_000 }).toBe(String(rows - 2));
    await page.keyboard.press("Home");
    await expect.poll(() => at.getAttribute("data-row"), { timeout: 10_000 }).toBe("0");
    await page.keyboard.press("Enter");
    await page.locator(".steps").waitFor();
    await closePage(page);
  });

  test.each(["light", "dark"] as const)("has nothing grave for axe, in %s", async (scheme) => {
    const page = await openPage("#/machine", { scheme, width: 1024 });
    await paste(page, pasted);
    for (const hash of [
      "",
      "&show=topology",
      "&show=budgets",
      "&show=missing",
      "&at=dmar0:0",
      "&finding=1",
    ]) {
      await page.evaluate(
        (more) => (location.hash = location.hash.replace(/&(?:show|at|finding)=.*/, "") + more),
        hash,
      );
      if (hash === "&show=topology") await page.locator(".topology svg").waitFor();
      if (hash.startsWith("&at")) await page.locator(".steps").waitFor();
      expect({ hash, found: await graveFindings(page) }).toEqual({ hash, found: [] });
      expect(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)).toBe(false);
    }
    await closePage(page);
  });
});
