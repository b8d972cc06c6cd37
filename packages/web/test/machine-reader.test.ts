import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { capturePath } from "../../cli/src/testing/captured-host.ts";
import { browserMissing, closePage, hashAfter, openPage } from "./page.ts";

const patience = 10_000;

/** A unit, an entry of which lets every device through, and whose processors nobody knows. */
const table = `IOMMU: dmar0 Register Base Address: fed90000
Name                    Offset          Contents
GSTS                    0x1c            0x00000000c7000000

Remapped Interrupt supported on IOMMU: dmar0
 IR table address:100900000
 Entry SrcID   DstID    Vct IRTE_high           IRTE_low
 0     00:0a.0 00000001 24  0000000000040050    000000010024000d
 1     00:0b.0 00000001 ef  0000000000040058    0000000100ef000d
 7     00:00.0 00000001 26  0000000000000000    000000010026000d
****
`;

function ofText(text: string, rest: Readonly<Record<string, string>> = {}): string {
  return `#/machine?${new URLSearchParams({ source: "text", text, ...rest }).toString()}`;
}

function focused(page: Page): Promise<string> {
  return page.evaluate(() => document.activeElement?.textContent ?? "");
}

describe.skipIf(browserMissing)("who reads the view of a machine", { timeout: 60_000 }, () => {
  test("is led to the row that an address or a finding follows, and stays where a click follows one", async () => {
    const page = await openPage("#/machine");
    await page.getByLabel("A file", { exact: true }).setInputFiles(capturePath("intel61-hold"));
    const rows = page.locator(".rows");
    const top = () => rows.evaluate(({ scrollTop }) => scrollTop);
    await page.evaluate(() => (location.hash += "&at=irq 45"));
    await page.locator("tr.selected").waitFor({ timeout: patience });
    expect(await top()).toBeGreaterThan(0);
    await rows.evaluate((list) => (list.scrollTop = 300));
    await page.getByRole("button", { name: /follow dmar0:35$/ }).click();
    await page.getByRole("heading", { name: "Path of dmar0:35" }).waitFor({ timeout: patience });
    await page.locator(".steps").waitFor({ timeout: patience });
    expect(await top()).toBe(300);
    await rows.evaluate((list) => (list.scrollTop = 0));
    await page.goBack();
    await expect.poll(top, { timeout: patience }).toBeGreaterThan(300);
    await closePage(page);
  });

  test("goes on at the heading of what takes the place of that where they stood", async () => {
    const page = await openPage("#/machine");
    await page.getByRole("textbox").fill(table);
    await page.getByRole("button", { name: "Open", exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.locator(".machine .rows").waitFor({ timeout: patience });
    expect(await focused(page)).toBe("pasted text");
    await page.locator(".audit-finding .head").first().focus();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: /^Follow/ }).focus();
    await page.keyboard.press("Enter");
    await page.locator(".steps").waitFor({ timeout: patience });
    expect(await focused(page)).toMatch(/^Path of /);
    await page.getByRole("button", { name: "Findings" }).focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => focused(page), { timeout: patience }).toBe("Findings");
    await page.getByRole("button", { name: "Close" }).focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => focused(page), { timeout: patience }).toBe("Machine");
    await closePage(page);
  });

  test("keeps the focus where a row is followed beside it", async () => {
    const page = await openPage(ofText(table));
    await page.getByRole("button", { name: /follow dmar0:1$/ }).focus();
    await page.keyboard.press("Enter");
    await page.locator(".steps").waitFor({ timeout: patience });
    expect(await page.locator("tr:focus-within").getAttribute("data-row")).toBe("1");
    await closePage(page);
  });

  test.each([
    ["the table", "", "tbody button[tabindex='0']"],
    ["the steps", "", ".steps [aria-current=step]"],
    ["the topology", "topology", ".node[tabindex='0']"],
  ])("keeps the browser's own keys in %s", async (_, show, place) => {
    const page = await openPage(ofText(table, { at: "dmar0:0", ...(show !== "" && { show }) }));
    await page.locator(".steps").waitFor({ timeout: patience });
    await page.locator(place).focus();
    await page.evaluate(() => {
      const taken = ((globalThis as { taken?: string[] }).taken = [] as string[]);
      addEventListener("keydown", (event) => {
        if (event.defaultPrevented) taken.push(event.key);
        event.preventDefault();
      });
    });
    const before = await hashAfter(page);
    const chords = ["Alt+ArrowLeft", "Alt+ArrowRight", "Control+Home", "Meta+ArrowDown", "Control+-"];
    for (const chord of chords) await page.keyboard.press(chord);
    expect(await page.evaluate(() => (globalThis as { taken?: string[] }).taken)).toEqual([]);
    expect(await hashAfter(page)).toBe(before);
    await page.keyboard.press("ArrowDown");
    expect(await page.evaluate(() => (globalThis as { taken?: string[] }).taken?.length)).toBe(
      show === "" ? 1 : 0,
    );
    await closePage(page);
  });

  test("acts with Enter on the node that has the focus, of which one without an action is no button", async () => {
    const page = await openPage(ofText(table, { show: "topology" }));
    const target = page.locator(".node.target");
    await target.waitFor({ timeout: patience });
    expect(await target.getAttribute("role")).toBe("img");
    const before = await hashAfter(page);
    await target.click();
    await page.keyboard.press("Enter");
    expect(await hashAfter(page)).toBe(before);
    await page.keyboard.press("ArrowLeft");
    expect(await page.locator(".node:focus").getAttribute("aria-label")).toMatch(/follow dmar0:\d$/);
    await closePage(page);
  });

  test.each([
    ["", "           CPU0\n  5:          0   IO-APIC    5-edge\n", "tick “unused ones too”"],
    ["ghost", table, /^Nothing is left by this filter\.$/],
    ["to:cpu 3", table, 'wants quotes: to:"cpu 3"'],
  ])("is told why with the filter %j there is no row", async (filter, text, why) => {
    const page = await openPage(ofText(text, filter === "" ? {} : { filter }));
    const nothing = page.locator(".nothing");
    await nothing.waitFor({ timeout: patience });
    expect(await nothing.textContent()).toMatch(typeof why === "string" ? new RegExp(why, "u") : why);
    await closePage(page);
  });

  test.each([
    ["a kernel log", "Linux version 6.7.8 (x@y)\nDMAR-IR: Enabled IRQ remapping in x2apic mode\n", "–", "–"],
    ["a table of entries", table, "3", "–"],
    ["interrupts", "           CPU0\n  5:          7   IO-APIC    5-edge  ttyS1\n", "–", "1"],
  ])("is not told of %s that there is none of what nothing tells of", async (_, text, entries, irqs) => {
    const page = await openPage(ofText(text));
    await page.locator(".figures").waitFor({ timeout: patience });
    const figure = (what: string) =>
      page.locator(".figures > div").filter({ hasText: what }).locator("dd").textContent();
    expect([await figure("present entr"), await figure("in use")]).toEqual([entries, irqs]);
    await closePage(page);
  });

  test("is not told that nothing is wrong where most could not be looked at", async () => {
    const log = "Linux version 6.7.8 (x@y)\nDMAR-IR: Enabled IRQ remapping in x2apic mode\n";
    const page = await openPage(ofText(log));
    const tally = page.locator(".tally");
    await tally.waitFor({ timeout: patience });
    expect(await tally.textContent()).toContain("None in what could be checked.");
    expect(await tally.locator(".good").count()).toBe(0);
    await tally.getByRole("link").click();
    await page.getByRole("heading", { name: "Rules that were not checked" }).waitFor({ timeout: patience });
    await closePage(page);
  });

  test.each([
    ["source=live", "This address wants a page that was served"],
    ["source=report", "This address is of a report"],
    ["source=file&name=host.tar", "This address shows host.tar"],
    ["source=file", "This address shows a file"],
    ["source=pasted&size=5000", "This address shows a pasted text"],
    ["source=constructor", "This address names no host that a page can open"],
  ])("is told what %s wants", async (query, title) => {
    const page = await openPage(`#/machine?${query}`);
    expect(await page.locator(".notice h2").textContent()).toBe(title);
    await closePage(page);
  });

  test("keeps the page when a file is dropped where nothing takes it", async () => {
    const page = await openPage(ofText(table));
    await page.locator(".machine .rows").waitFor({ timeout: patience });
    const refused = await page.evaluate(() =>
      ["dragover", "drop"].map((kind) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["x"], "x.txt"));
        const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
        return !document.querySelector("h1")!.dispatchEvent(event);
      }),
    );
    expect(refused).toEqual([true, true]);
    await closePage(page);
  });
});
