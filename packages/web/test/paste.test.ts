import { readFileSync, writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { run } from "../../cli/src/program.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { graveFindings } from "./axe.ts";
import { browserMissing, closePage, hashAfter, openPage } from "./page.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../core/src/evidence/fixtures/${name}`, import.meta.url));

const fault =
  "DMAR: [INTR-REMAP] Request device [00:1f.0] fault index 0x25 [fault reason 0x26] Blocked an interrupt request due to source-id verification failure";

function hashOf(text: string): string {
  return `#/paste?${new URLSearchParams({ text }).toString()}`;
}

/** What a command prints with `--json`. */
async function printed(args: string[], input?: string): Promise<unknown> {
  const io = testIo(input, { NO_COLOR: "1" });
  await run([...args, "--json"], io);
  return JSON.parse(io.out());
}

/** The file, which is removed when the test ends. */
function fileOf(name: string, content: string | Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "intremap-paste-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe.skipIf(browserMissing)("what is pasted", { timeout: 60_000 }, () => {
  test("is explained as explain --json does, and a link reopens it", async () => {
    const text = `${fault}\n0000000000040050 0000000000000000\nlpc: nothing of ours\nfee00338 0000\n`;
    const expected = (await printed(["explain"], text)) as {
      findings: { name: string; what: string; causes: string[]; next: string[]; rule: string }[];
      remarks: { what: string }[];
    };
    const page = await openPage(hashOf(text));
    await page.locator(".finding").first().waitFor();
    await page
      .context()
      .grantPermissions(["clipboard-read", "clipboard-write"])
      .catch(() => {});
    const copied: string[] = [];
    await page.exposeFunction("keep", (one: string) => copied.push(one));
    await page.evaluate(() => {
      const keep = (globalThis as unknown as { keep: (text: string) => void }).keep;
      Object.defineProperty(navigator, "clipboard", {
        value: { writeText: async (one: string) => keep(one) },
      });
    });
    await page.getByRole("button", { name: "explain --json" }).click();
    await expect.poll(() => copied.length).toBe(1);
    expect(JSON.parse(copied[0]!)).toEqual(expected);

    const shown = page.locator(".finding");
    expect(await shown.count()).toBe(expected.findings.length);
    for (const [i, { name, what, causes, next, rule }] of expected.findings.entries()) {
      const one = (await shown.nth(i).textContent())!;
      for (const part of [name, what, ...causes, ...next, rule]) expect(one).toContain(part);
    }
    const remarks = (await page.locator(".remarks").textContent())!;
    for (const { what } of expected.remarks) expect(remarks).toContain(what);
    await closePage(page);
  });

  test("leads to the view in which it is best seen", async () => {
    const page = await openPage("#/paste");
    const box = page.getByLabel("What a machine printed");
    await box.fill("0000000000040050 000000800024000d");
    await page.getByRole("button", { name: "Open the irte in Bits" }).waitFor();
    expect(page.url()).toContain("text=0000000000040050");
    await box.press("Control+Enter");
    await expect.poll(() => page.locator("nav [aria-current=page]").textContent()).toBe("Bits");
    expect(await page.getByLabel("Value", { exact: true }).inputValue()).toBe(
      "0000000000040050 000000800024000d",
    );
    await page.goBack();
    await page.getByRole("link", { name: "as amd-irte?" }).click();
    await expect
      .poll(() => page.getByRole("combobox", { name: "Layout" }).inputValue())
      .toBe("kind:amd-irte");

    await page.evaluate(
      (hash) => (location.hash = hash),
      hashOf("fee00018 0000\n0000000000040018 000002000022000d"),
    );
    await page.getByRole("button", { name: "in Path" }).click();
    await expect
      .poll(() => page.url())
      .toContain("#/path?irte=0000000000040018+000002000022000d&msi=fee00018+0000");
    await closePage(page);
  });

  test("opens as it stands in the box, however soon that is asked for", async () => {
    const page = await openPage(hashOf("fee00338 0000"));
    await page.getByRole("button", { name: "Open the msi in Bits" }).waitFor();
    expect(await page.getByText("Ctrl Enter in the box opens the first.").count()).toBe(1);
    const box = page.getByLabel("What a machine printed");
    await box.fill("0000000000040050 000000800024000d");
    await box.press("Control+Enter");
    await expect.poll(() => page.getByRole("combobox", { name: "Layout" }).inputValue()).toBe("kind:irte");
    expect(page.url()).toContain("value=0000000000040050+000000800024000d");
    await page.goto(page.url().replace(/#.*/, "#/paste"));
    await box.fill("fee00338 0000");
    await box.press("Control+Enter");
    await expect.poll(() => page.url()).toContain("#/bits?kind=msi&value=fee00338+0000");
    await closePage(page);
  });

  test("tells two of a kind apart, and lines that are explained from those that hold a value", async () => {
    const page = await openPage(
      hashOf("0000000000040050 000000800024000d\n0000000000040018 000002000022000d"),
    );
    await page.getByRole("heading", { name: "This is 2 VT-d entries" }).waitFor();
    await page.getByRole("button", { name: "Open the irte of line 2 in Bits" }).click();
    await expect.poll(() => page.url()).toContain("value=0000000000040018+000002000022000d");
    const heads: readonly (readonly [text: string, head: string])[] = [
      [
        "DMAR: [DMA Write NO_PASID] Request device [03:00.0] fault addr 0x1000 [fault reason 0x05] PTE Write access is not set",
        "This is a message of an IOMMU",
      ],
      [
        "\tCapabilities: [70] MSI: Enable+ Count=1/1 Maskable- 64bit+\n\t\tAddress: 00000000fee00338  Data: 0000",
        "This is an MSI message",
      ],
      [`${fault}\nfee00338 0000`, "This is an MSI message; a message of an IOMMU"],
    ];
    for (const [text, head] of heads) {
      await page.evaluate((hash) => (location.hash = hash), hashOf(text));
      await expect.poll(() => page.locator(".recognised h2").textContent()).toBe(head);
    }
    await closePage(page);
  });

  test("is a table of debugfs: a machine, and every row a value", async () => {
    const text = readFileSync(fixture("intel-debugfs.txt"), "utf8");
    const page = await openPage("#/paste");
    await page.getByLabel("A file").setInputFiles(fixture("intel-debugfs.txt"));
    await page.getByRole("button", { name: "Open in Machine" }).waitFor();
    const rows = page.locator(".pasted-values tbody tr");
    expect(await rows.count()).toBe([...text.matchAll(/^ \d+ +[0-9a-f]{2}:/gm)].length);
    expect(await rows.first().textContent()).toContain("0000000000040050 000000800024000d");
    expect(page.url()).toContain("file=intel-debugfs.txt");
    await page.getByRole("button", { name: "Open in Machine" }).click();
    await expect.poll(() => page.locator("nav [aria-current=page]").textContent()).toBe("Machine");
    // Back to what was given, which the page still has.
    await page.goBack();
    await rows.first().waitFor();
    expect(await page.getByText("Ctrl Enter").count()).toBe(0);
    // An entry keeps its place in its table.
    const [, last] = /^entry (\d+)$/.exec(
      (await rows.last().locator("td").nth(1).textContent())!.split(", ")[1]!,
    )!;
    await rows.last().getByRole("link", { name: "in Bits" }).first().click();
    await expect.poll(() => page.url()).toContain(`index=${last}`);
    await closePage(page);
  });

  test("is a firmware table, as a file and as a hexdump", async () => {
    const bytes = readFileSync(fixture("qemu-7.2-intel.dmar.bin"));
    const page = await openPage("#/paste");
    const expected = (await printed(["decode", "dmar", fixture("qemu-7.2-intel.dmar.bin")])) as {
      title: string;
      fields: { structures: { kind: string }[] };
    };
    const check = async (): Promise<void> => {
      await page.getByRole("heading", { name: expected.title }).waitFor();
      const kinds = await page
        .locator(".structures")
        .first()
        .locator(":scope > li > strong")
        .allTextContents();
      expect(kinds).toEqual(expected.fields.structures.map(({ kind }) => kind));
    };
    await page.getByLabel("A file").setInputFiles(fixture("qemu-7.2-intel.dmar.bin"));
    await check();
    await page.getByRole("button", { name: "Clear" }).click();
    const dump = Array.from({ length: Math.ceil(bytes.length / 16) }, (_, i) => {
      const row = bytes
        .subarray(16 * i, 16 * i + 16)
        .toString("hex")
        .match(/../g)!
        .join(" ");
      return `${(16 * i).toString(16).padStart(8, "0")}  ${row}`;
    }).join("\n");
    await page.getByLabel("What a machine printed").fill(dump);
    await check();
    await closePage(page);
  });

  test("is a QEMU trace, or an archive: these open elsewhere", async () => {
    const page = await openPage("#/paste");
    const trace = "vtd_ir_irte_get index 1 low 0x4ff00 high 0x1000030000d\n".repeat(20_000);
    await page.getByLabel("A file").setInputFiles(fileOf("boot.log", trace));
    await page.getByRole("heading", { name: "a QEMU trace of 20,000 lines" }).waitFor();
    const values = page.locator(".pasted-values");
    expect(await values.locator("tbody tr").count()).toBe(200);
    expect(await values.textContent()).toMatch(
      /18,865 more values are not listed\.Only the first 1,048,576 characters were looked through for values\.$/,
    );
    expect(await page.getByRole("button", { name: "Open the trace in Timeline" }).isVisible()).toBe(true);
    expect(await page.getByRole("button", { name: "Open its tables in Machine" }).isVisible()).toBe(true);
    const archive = fileURLToPath(new URL("../../../captures/intel61-hold.tar.xz", import.meta.url));
    await page.getByLabel("A file").setInputFiles(archive);
    await page.getByRole("button", { name: "Open the archive in Machine" }).waitFor();
    await closePage(page);
  });

  test("is told plainly where it is nothing known, cut off, too long for a link, or hostile", async () => {
    const page = await openPage(hashOf("<img src=x onerror=\"document.title='owned'\">\n<script>1</script>"));
    await page.getByRole("heading", { name: "Nothing in it is known" }).waitFor();
    const box = page.getByLabel("What a machine printed");

    const device = `DMAR: [INTR-REMAP] Request device [00:1f.0] fault index 0x25 [fault reason 0x26] <b id=owned>x</b>`;
    await box.fill(device);
    await page.locator(".finding").first().waitFor();
    expect(await page.locator("#owned").count()).toBe(0);
    expect(await page.title()).not.toContain("owned");

    await box.fill(`${fault}\n`.repeat(200));
    await page.getByRole("button", { name: /too long for a link/ }).waitFor();
    const hash = await hashAfter(page);
    expect(hash.length).toBeLessThan(8000);
    await page.reload();
    await page.getByRole("heading", { name: "A long text was open here" }).waitFor();
    expect(await hashAfter(page)).toBe(hash);

    await page.getByLabel("A file").setInputFiles(fileOf("cut.tar.gz", Buffer.from("1f8b0800", "hex")));
    await page.getByRole("alert").waitFor();
    expect((await page.getByRole("alert").textContent())!.split("\n").length).toBe(1);
    await page.getByLabel("A file").setInputFiles(fileOf("noise.bin", Buffer.alloc(1 << 20, 7)));
    await page.getByRole("heading", { name: "Nothing in it is known" }).waitFor();
    await closePage(page);
  });

  test("that is more than a page takes is refused before anything copies it", async () => {
    const page = await openPage("#/paste");
    const box = page.getByLabel("What a machine printed");
    await box.evaluate((element) => {
      const data = new DataTransfer();
      // Nobody has this clipboard: its length is what counts.
      Object.defineProperty(data, "getData", { value: () => "0".repeat(2 ** 28) });
      element.dispatchEvent(
        new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }),
      );
    });
    expect(await page.getByRole("alert").textContent()).toContain("268 million characters");
    expect(await box.inputValue()).toBe("");
    await closePage(page);
  });

  test.each(["light", "dark"] as const)(
    "has nothing grave for axe in %s, down to 1024 pixels",
    async (scheme) => {
      for (const hash of ["#/paste", hashOf(`${fault}\n0000000000040050 000000800024000d`)]) {
        const page = await openPage(hash, { scheme, width: 1024 });
        if (hash !== "#/paste") await page.locator(".finding").first().waitFor();
        expect(await graveFindings(page)).toEqual([]);
        expect(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)).toBe(false);
        await closePage(page);
      }
    },
  );
});
