import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { afterAll, describe, expect, test } from "vitest";
import { chunksOf, expanded } from "../../cli/src/sources/expand.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { longestTask, watchLongTasks } from "./long-tasks.ts";
import { browserMissing, closePage, openPage } from "./page.ts";

const core = fileURLToPath(new URL("../../../captures/intel61-hold.core.xz", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "intremap-hostile-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Gives a file to the page as a reader would: the driver copies bytes that it has itself on the page's own thread. */
async function give(page: Page, name: string, content: string | Uint8Array): Promise<void> {
  const path = join(folder, name);
  writeFileSync(path, content);
  await page.getByLabel("A file", { exact: true }).setInputFiles(path);
}

/** The one message that the page shows. */
async function message(page: Page): Promise<string> {
  const notice = page.locator(".notice.error, .notice.large");
  await notice.waitFor({ timeout: 60_000 });
  expect(await notice.count()).toBe(1);
  return (await notice.textContent()) ?? "";
}

/** The first bytes of a core that is not compressed. */
async function coreBytes(length: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let known = 0;
  for await (const part of expanded(chunksOf(core, testIo().stdin), core)) {
    parts.push(part);
    known += part.length;
    if (known >= length) break;
  }
  return Buffer.concat(parts).subarray(0, length);
}

/** A tar archive of one file of ten gigabytes of zeros, a few megabytes in gzip: members follow each other. */
function tarBomb(): Buffer {
  const size = 10 * 2 ** 30;
  const header = Buffer.alloc(512);
  header.write("proc/interrupts", 0);
  header.write("0000644\0", 100);
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\u000000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  const member = gzipSync(Buffer.alloc(64 * 2 ** 20));
  return Buffer.concat([gzipSync(header), ...Array.from({ length: size / (64 * 2 ** 20) }, () => member)]);
}

describe.skipIf(browserMissing)("the view of a machine, with hostile input", { timeout: 120_000 }, () => {
  test("opens a memory dump with progress, and keeps the page answering", { retry: 2 }, async () => {
    const page = await openPage("#/machine");
    await watchLongTasks(page);
    await page.evaluate(() => {
      const said = ((globalThis as { said?: string[] }).said = [] as string[]);
      new MutationObserver(() => {
        const text = document.querySelector(".waiting p")?.textContent;
        if (text && said.at(-1) !== text) said.push(text);
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    const before = performance.now();
    await page.getByLabel("A file", { exact: true }).setInputFiles(core);
    await page.locator(".machine .rows").waitFor({ timeout: 60_000 });
    const seconds = ((performance.now() - before) / 1000).toFixed(1);
    const longest = await longestTask(page);
    const said = await page.evaluate(() => (globalThis as { said?: string[] }).said);
    console.log(`memory dump: ${seconds} s to its map, longest task of the page ${longest} ms`);
    expect(said!.length).toBeGreaterThan(2);
    expect(longest).toBeLessThan(200);
    await closePage(page);
  });

  test("says of a dump that ends too soon that it does", async () => {
    const page = await openPage("#/machine");
    await give(page, "short.core", await coreBytes(300_000));
    expect(await message(page)).toMatch(/short\.core cannot be read.*(?:incomplete|ends|cut)/s);
    await give(page, "short.core.xz", (await readFile(core)).subarray(0, 700_000));
    await expect.poll(() => message(page), { timeout: 20_000 }).toMatch(/short\.core\.xz cannot be read/);
    await closePage(page);
  });

  test("does not unpack ten gigabytes of zeros", async () => {
    const page = await openPage("#/machine");
    await watchLongTasks(page);
    const before = performance.now();
    await give(page, "bomb.tar.gz", tarBomb());
    expect(await message(page)).toMatch(/bomb\.tar\.gz cannot be read/);
    console.log(`tar bomb: refused after ${((performance.now() - before) / 1000).toFixed(1)} s`);
    await closePage(page);
  });

  test("refuses a text of a gigabyte, dropped or pasted", async () => {
    const page = await openPage("#/machine");
    await page.evaluate(() => {
      const part = new Blob(["x ".repeat(2 ** 23)]);
      const transfer = new DataTransfer();
      transfer.items.add(
        new File(
          Array.from({ length: 64 }, () => part),
          "big.txt",
        ),
      );
      document
        .querySelector(".drop")!
        .dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
    });
    expect(await message(page)).toMatch(/big\.txt cannot be read/);
    await watchLongTasks(page);
    await page.evaluate(() => {
      // No string is longer in this browser.
      const clipboardData = new DataTransfer();
      Object.defineProperty(clipboardData, "getData", { value: () => "x".repeat(2 ** 29 - 24) });
      document
        .querySelector("textarea")!
        .dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    });
    await page.getByText("This cannot be opened").waitFor();
    expect(await longestTask(page)).toBeLessThan(200);
    await closePage(page);
  });

  test("opens several texts as one host, and says which file is none", async () => {
    const page = await openPage("#/machine");
    const drop = (files: Readonly<Record<string, string>>, folder = false): Promise<void> =>
      page.evaluate(
        ([contents, withFolder]) => {
          const transfer = new DataTransfer();
          for (const [name, text] of Object.entries(contents)) transfer.items.add(new File([text], name));
          const dropped = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
          if (withFolder) {
            const entries = [{ isDirectory: true, name: "host", fullPath: "/host" }, { isDirectory: false }];
            const items = entries.map((entry) => ({ kind: "file", webkitGetAsEntry: () => entry }));
            Object.defineProperty(transfer, "items", { value: items });
          }
          document.querySelector(".drop")!.dispatchEvent(dropped);
        },
        [files, folder] as const,
      );
    const table = "           CPU0\n 26:          5   PCI-MSI 81920-edge      nvme0q0\n";
    const version = "Linux version 6.1.0-1 (a@b) #1 SMP\n";
    await drop({ interrupts: table, core: "\u007fELF" });
    expect(await message(page)).toContain("core: no text, which several files have to be: give it by itself");
    await drop({ interrupts: table, more: "" }, true);
    await page.getByText("host and more: give one folder at a time").waitFor();
    await drop(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`${i}`, table])));
    await page.getByText("65 files: give the folder that they lie in").waitFor();
    await drop({ interrupts: table, version });
    await page.locator(".machine .rows").waitFor();
    expect(await page.locator("h1").textContent()).toBe("interrupts, version");
    expect(new URL(page.url()).hash).toMatch(
      /^#\/machine\?source=files&name=interrupts%2C\+version&size=\d+$/,
    );
    expect(await page.locator(".machine").textContent()).toContain("Linux 6.1.0-1");
    expect(await page.locator(".rows tbody").textContent()).toContain("nvme0q0");
    await closePage(page);
  });

  test("says a file's name once, and what is wrong with it", async () => {
    const page = await openPage("#/machine");
    await give(page, "none.gz", gzipSync(""));
    expect(await message(page)).toBe("none.gz cannot be readit is empty");
    await closePage(page);
  });

  test("shows markup in names as text", async () => {
    const page = await openPage("#/machine");
    const markup = `<img src="x" onerror="document.title='run'"><script>document.title='run'</script>`;
    const text = `           CPU0       CPU1\n 26:          5          0   PCI-MSI 81920-edge      ${markup}\n 27:          5          0   PCI-MSI 81921-edge      \${alert(1)}\n`;
    await page.getByRole("textbox").fill(text);
    await page.getByRole("button", { name: "Open", exact: true }).click();
    await page.locator(".machine .rows").waitFor();
    expect(await page.locator("tbody tr").first().textContent()).toContain("<img");
    await page.getByRole("button", { name: "Topology" }).click();
    await page.locator(".topology svg").waitFor();
    expect(await page.locator("#page img, #page script").count()).toBe(0);
    expect(await page.title()).toBe("Machine — intremap");
    await closePage(page);
  });

  test("shows a map of 20,000 entries, and keeps the page answering", { retry: 2 }, async () => {
    const rows = Array.from({ length: 20_000 }, (_, index) => {
      const sid = 0x100 + (index >> 6);
      const high = (0x4_0000 | sid).toString(16).padStart(16, "0");
      const source = `${(sid >> 8).toString(16).padStart(2, "0")}:${((sid >> 3) & 31).toString(16).padStart(2, "0")}.${sid & 7}`;
      const vector = (0x21 + (index % 128)).toString(16);
      const destination = (index % 256).toString(16).padStart(8, "0");
      return ` ${index} ${source} ${destination} ${vector} ${high} ${destination}00${vector}000d`;
    });
    const text = `Remapped Interrupt supported on IOMMU: dmar0\n IR table address:100900000\n Entry SrcID DstID Vct IRTE_high IRTE_low\n${rows.join("\n")}\n****\n`;
    const page = await openPage("#/machine");
    await watchLongTasks(page);
    await give(page, "irte.txt", text);
    await page.locator(".machine .rows").waitFor({ timeout: 60_000 });
    expect(await page.locator(".rows table").getAttribute("aria-rowcount")).toBe("20001");
    expect(await page.locator("tbody tr").count()).toBeLessThan(100);
    const opened = await longestTask(page);
    await page.getByRole("searchbox").fill("0x21");
    await page.getByRole("button", { name: "vector" }).click();
    await page.locator("th[aria-sort=ascending]").waitFor();
    const sorted = await longestTask(page);
    await page.getByRole("searchbox").fill("");
    await page.getByRole("button", { name: "Topology" }).click();
    await page.locator(".topology svg").waitFor({ timeout: 60_000 });
    expect(await page.locator(".topology .node").count()).toBeLessThan(400);
    const drawn = await longestTask(page);
    console.log(
      `20,000 entries: longest task of the page ${opened} ms to open, ${sorted} ms to filter and sort, ${drawn} ms to draw`,
    );
    expect(drawn).toBeLessThan(200);
    await closePage(page);
  });
});
