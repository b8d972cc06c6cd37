import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { tryRequest } from "@intremap/core";
import { run } from "../../cli/src/program.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { graveFindings } from "./axe.ts";
import { browserMissing, closePage, openPage } from "./page.ts";

/** What `decode --json` prints. */
async function decoded(...args: string[]): Promise<unknown> {
  const io = testIo(undefined, { NO_COLOR: "1" });
  await run(["decode", ...args, "--json"], io);
  return JSON.parse(io.out());
}

async function shownJson(page: Page): Promise<unknown> {
  return JSON.parse((await page.locator("pre.copied").textContent()) ?? "");
}

const kinds: Readonly<Record<string, string>> = {
  irte: "0000000000040050 000000800024000d",
  "amd-irte": "0000000000000031 0000000000000141",
  dte: "0000000000000000 20000001373b801f 0000000000000038 6000000114d7b603",
  pid: "0002000000000000 0 0 0 0000010000f20001 0 0 1",
  msi: "fee00338 0000",
  "ioapic-rte": "0100000000000931",
  iec: "0000000500000014 0000000000000000",
  frcd: "8000002600000018 0005000000000000",
  irta: "000000010090080f",
  cap: "00d2008c222f0686",
  ecap: "0000000000f00f5e",
};

function hashOf(query: Readonly<Record<string, string>>): string {
  return `#/bits?${new URLSearchParams(query).toString()}`;
}

/** A page that shares its machine with others takes its time. */

describe.skipIf(browserMissing)("the bits of a value", { timeout: 60_000 }, () => {
  test("are what decode --json prints, for every kind and for a table's fields", async () => {
    const page = await openPage();
    for (const [kind, value] of Object.entries(kinds)) {
      const expected = (await decoded(kind, ...value.split(" "))) as {
        fields: Record<string, number | string>;
      };
      await page.evaluate((hash) => (location.hash = hash), hashOf({ kind, value, copy: "json" }));
      await expect.poll(() => shownJson(page)).toEqual(expected);
      const rows = await page.locator("table.fields tbody tr").evaluateAll((list) =>
        list.map((row) => {
          const input = row.querySelector<HTMLInputElement>("input, select");
          const text = input?.type === "checkbox" ? `${Number(input.checked)}` : input?.value;
          return [
            row.querySelector("th")!.firstChild!.textContent,
            text ?? row.querySelector(".content")!.textContent,
          ];
        }),
      );
      const numbers = rows.map(([name, text]) => [name, BigInt(text!)]);
      expect(numbers).toEqual(Object.entries(expected.fields).map(([name, field]) => [name, BigInt(field)]));
    }
    await closePage(page);
  });

  test("have both names, and settings, as the command has", async () => {
    const value = kinds["irte"]!;
    const page = await openPage(hashOf({ kind: "irte", value, copy: "json", names: "linux", eime: "0" }));
    const expected = await decoded("irte", ...value.split(" "), "--names", "linux", "--eime", "0");
    expect(await shownJson(page)).toEqual(expected);
    await expect.poll(() => page.locator(".violations .broken").count()).toBe(1);
    await page.getByLabel("EIME").selectOption("1");
    await expect.poll(() => page.locator(".violations li").count()).toBe(0);
    expect(page.url()).toContain("eime=1");
    await closePage(page);
  });

  test("follow each other: a toggled bit, a typed value, a chosen mode", async () => {
    const page = await openPage(hashOf({ kind: "irte", value: "0000000000040018 000002000022000d" }));
    const text = page.getByLabel("Value", { exact: true });
    expect(await page.locator(".sound").count()).toBe(1);

    await page.getByRole("button", { name: "bit 24, reserved: 0" }).click();
    await expect.poll(() => page.locator(".violations .broken strong").textContent()).toContain("bit 24");
    expect(await text.inputValue()).toBe("0000000000040018 000002000122000d");

    await page.goBack();
    await expect.poll(() => text.inputValue()).toBe("0000000000040018 000002000022000d");
    expect(await page.locator(".violations li").count()).toBe(0);

    // Posted: the layout is another one at once.
    await page.getByLabel("im", { exact: true }).selectOption("1");
    await expect.poll(() => page.getByRole("heading", { level: 2 }).textContent()).toContain("posted");
    expect(await page.getByRole("row", { name: /^bit.*|vv/ }).count()).toBeGreaterThan(0);
    await page.getByLabel("pda", { exact: true }).fill("0x12345640");
    await expect.poll(() => text.inputValue()).toMatch(/^0000000000040018 4{0}/);
    const shown = (await text.inputValue()).split(" ");
    expect(await decoded("irte", ...shown)).toMatchObject({ mode: "posted", fields: { pda: 0x12345640 } });

    await page.getByLabel("pda", { exact: true }).fill("0x12345641");
    expect(await page.getByLabel("pda", { exact: true }).getAttribute("aria-invalid")).toBe("true");
    await text.fill("zz");
    expect(await page.getByRole("alert").textContent()).toContain("no hex digit");
    expect(decodeURIComponent(page.url())).not.toContain("zz");
    await closePage(page);
  });

  test("are reached by keyboard: one stop of the tab key, arrows, digits", async () => {
    const page = await openPage(hashOf({ kind: "ecap", value: "0000000000000000" }));
    await page.locator("[data-bit='0']").focus();
    for (const key of ["ArrowUp", "ArrowLeft", "ArrowLeft", "1", "1", "0", "Home", "Space"]) {
      await page.keyboard.press(key);
    }
    const text = page.getByLabel("Value", { exact: true });
    // Bits 34 and 33 were typed, the 0 stood at 32; then 31, and Home goes to the end of that line.
    await expect.poll(() => text.inputValue()).toBe("0000000680000000");
    expect(await page.locator("[data-bit='31']").evaluate((bit) => bit === document.activeElement)).toBe(
      true,
    );
    expect(await page.locator("button.bit[tabindex='0']").count()).toBe(1);
    await closePage(page);
  });

  test("are sent a request again, which ends as it ends in core", async () => {
    const page = await openPage(hashOf({ kind: "irte", value: "0000000000040018 000002000022000d" }));
    const outcome = page.locator(".outcome");
    const expectEnd = async (entry: bigint, requester = 0x18): Promise<void> => {
      const result = tryRequest({
        vendor: "intel",
        profile: "vtd-strict",
        entry,
        address: 0xfee00018n,
        data: 0,
        requester,
      });
      await expect.poll(() => outcome.textContent()).toContain(` ${result.outcome}`);
      const told = result.decision.steps.filter(({ verdict }) => verdict !== "not reached");
      await expect.poll(() => page.locator(".decision li").count()).toBe(told.length);
      for (const [i, { title, verdict, detail }] of told.entries()) {
        const shown = await page.locator(".decision li").nth(i).textContent();
        for (const part of [title, verdict, detail]) expect(shown).toContain(part);
      }
      if (result.fault !== null) expect(await outcome.textContent()).toContain(result.fault.name);
    };
    const entry = (0x40018n << 64n) | 0x000002000022000dn;
    await expectEnd(entry);
    await page.getByLabel("p", { exact: true }).uncheck();
    await expectEnd(entry & ~1n);
    await page.goBack();
    await page.getByLabel("From").fill("03:00.1");
    await page.getByLabel("From").press("Enter");
    await expectEnd(entry, 0x301);
    expect(await outcome.textContent()).toContain("26h");
    await page.getByLabel("Message").fill("fee00018");
    await page.getByLabel("Message").press("Enter");
    await expect.poll(() => page.getByRole("alert").textContent()).toContain("an address and its data");
    await page.goBack();
    await expect
      .poll(() => page.getByRole("link", { name: "in Path" }).getAttribute("href"))
      .toContain(
        "#/path?irte=0000000000040018+000002000022000d&msi=fee00018+0000&sid=03%3A00.1&profile=vtd-strict",
      );
    await closePage(page);
  });

  test("are sent to hardware that there is, at an address that is an interrupt's", async () => {
    const page = await openPage(hashOf({ kind: "irte", profile: "nope" }));
    expect(await page.getByRole("alert").textContent()).toContain('there is no profile "nope"');
    await page.getByRole("button", { name: "Start from a sound request" }).click();
    await page.locator(".outcome.remapped").waitFor();
    await page.evaluate((hash) => (location.hash = hash), hashOf({ kind: "msi", value: "fee00339 0000" }));
    await expect.poll(() => page.getByRole("alert").textContent()).toContain("This cannot be sent");
    await page.evaluate(
      (hash) => (location.hash = hash),
      hashOf({ kind: "irte", value: "0000000000040018 0000000000518001" }),
    );
    const descriptor = page.getByRole("textbox", { name: "Descriptor" });
    await descriptor.fill("1 0 0 0 0000010000f20001 0 0 0");
    await descriptor.press("Enter");
    await expect.poll(() => page.locator(".outcome").textContent()).toContain("nobody is notified");
    await page.getByRole("link", { name: "Follow it in Path" }).click();
    await expect.poll(() => page.locator(".request-outcome").textContent()).toContain("nobody is notified");
    await closePage(page);
  });

  test("follow a key that is held for as long as one likes", async () => {
    const value = "0000000000040050 000000800024000d";
    const page = await openPage(hashOf({ kind: "irte", value }));
    // More changes than Chromium lets an address have at once: it ignores those that are too many.
    const { entries, seconds } = await page
      .locator("button[data-bit='0']")
      .evaluate(async (bit: HTMLElement) => {
        const [before, start] = [history.length, performance.now()];
        for (let press = 0; press < 401; press++) {
          bit.click();
          await Promise.resolve();
        }
        return { entries: history.length - before, seconds: (performance.now() - start) / 1000 };
      });
    expect(entries).toBeLessThanOrEqual(20 * seconds + 1);
    await expect.poll(() => page.url()).toMatch(/0024000c$/);
    expect(await page.getByLabel("Value", { exact: true }).inputValue()).toMatch(/0024000c$/);
    await closePage(page);
  });

  test("of a long value leave out lines of zeros until every bit is wanted", async () => {
    const page = await openPage(hashOf({ kind: "pid" }));
    const cells = page.locator("button.bit");
    expect(await cells.count()).toBe(5 * 32);
    // A line whose last bit goes stays; arrows pass over what is not there.
    await page.getByRole("button", { name: "bit 49, pir: 1" }).click();
    await expect.poll(() => page.getByRole("button", { name: "bit 49, pir: 0" }).count()).toBe(1);
    await page.keyboard.press("ArrowUp");
    expect(await page.evaluate(() => document.activeElement!.getAttribute("aria-label"))).toContain(
      "bit 273, nv",
    );
    await page.getByRole("button", { name: "Every bit" }).click();
    await expect.poll(() => cells.count()).toBe(512);
    expect(page.url()).toContain("lines=all");
    await closePage(page);
  });

  test("are those of any layout, and of kinds that a layout belongs to", async () => {
    const page = await openPage(hashOf({ layout: "vtd-global-status", value: "c7000000" }));
    expect(await page.getByRole("heading", { level: 2 }).textContent()).toContain("Global Status");
    await page.getByLabel("ires", { exact: true }).uncheck();
    await expect.poll(() => page.getByLabel("Value", { exact: true }).inputValue()).toBe("c5000000");
    const options = await page
      .locator("select optgroup")
      .evaluateAll((list) => list.map(({ children }) => children.length));
    expect(options.length).toBe(9);
    expect(options.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(130);
    await page.evaluate(
      (hash) => (location.hash = hash),
      hashOf({ layout: "irte-posted", value: "00000000000400180000000000008001" }),
    );
    await expect.poll(() => page.getByRole("combobox", { name: "Layout" }).inputValue()).toBe("kind:irte");
    await closePage(page);
  });

  test("leave as hex, JSON, a row and a C initializer; the row is read back as the entry", async () => {
    const page = await openPage(hashOf({ kind: "irte", value: kinds["irte"]!, copy: "debugfs", index: "7" }));
    const row = (await page.locator("pre.copied").textContent())!;
    const io = testIo(row, { NO_COLOR: "1" });
    await run(["explain", "--json"], io);
    const { understood, remarks, findings } = JSON.parse(io.out()) as {
      understood: number;
      remarks: { what: string }[];
      findings: unknown[];
    };
    expect([understood, findings]).toEqual([1, []]);
    expect(remarks[0]!.what).toContain("Entry 7 delivers from 00:0a.0");
    await page.evaluate((hash) => (location.hash = hash), hashOf({ kind: "msi" }));
    await page.getByLabel("Row as lspci prints it").waitFor();
    await page.evaluate((hash) => (location.hash = hash), hashOf({ kind: "irte", value: kinds["irte"]! }));
    await page.getByLabel("C initializer").check();
    expect(await page.locator("pre.copied").textContent()).toContain(
      "\t.low = 0x000000800024000dULL,\n\t.high = 0x0000000000040050ULL,",
    );
    await closePage(page);
  });

  test("of a value that is none are told in one message, from which one goes on", async () => {
    const page = await openPage(hashOf({ kind: "irte", value: "<img/src=x/onerror=alert(1)> 0" }));
    expect(await page.getByRole("alert").textContent()).toContain("is no hex digit");
    await page.getByRole("button", { name: "sound value" }).click();
    await expect.poll(() => page.locator(".bit").count()).toBe(128);
    await page.evaluate(() => (location.hash = "#/bits?layout=constructor"));
    await expect.poll(() => page.getByRole("alert").textContent()).toContain("no layout");
    for (const hash of ["#/bits?layout=constructor&value=1", "#/bits?kind=nope"]) {
      await page.evaluate((wanted) => (location.hash = wanted), hash);
      await page.getByRole("button", { name: "sound value" }).click();
      await expect.poll(() => page.locator(".bit").count()).toBe(128);
      expect(await page.getByRole("combobox", { name: "Layout" }).inputValue()).toBe("kind:irte");
    }
    await closePage(page);
  });

  test("are typed a field at a time, as one entry of the history, and told what they lack", async () => {
    const page = await openPage(hashOf({ kind: "irte", value: "0000000000040018 000002000022000d" }));
    const field = page.getByLabel("v", { exact: true });
    const before = await page.evaluate(() => history.length);
    await field.press("Control+a");
    await field.pressSequentially("0x31", { delay: 100 });
    const text = page.getByLabel("Value", { exact: true });
    await expect.poll(() => text.inputValue()).toBe("0000000000040018 000002000031000d");
    expect(await page.evaluate(() => history.length)).toBe(before);
    for (const [typed, low] of [
      ["51", "000002000033000d"],
      ["ef", "0000020000ef000d"],
      ["0x41", "000002000041000d"],
    ] as const) {
      await field.fill(typed);
      await expect.poll(() => text.inputValue()).toBe(`0000000000040018 ${low}`);
    }
    for (const [typed, lack] of [
      ["0x12c", "does not fit"],
      ["x", "no number"],
    ] as const) {
      await field.fill(typed);
      expect(await page.getByRole("alert").textContent()).toContain(lack);
      const id = await page.getByRole("alert").getAttribute("id");
      expect(await field.getAttribute("aria-describedby")).toBe(id);
    }
    await closePage(page);
  });

  test.each([1024, 1280])("have their meaning in sight at %i pixels", async (width) => {
    const page = await openPage("#/bits", { width });
    const hashes = ["dte", "pid", "irte", "cap"].map((kind) => hashOf({ kind }));
    for (const hash of [
      ...hashes,
      hashOf({ layout: "dmar-header" }),
      hashOf({ layout: "amdvi-extended-feature" }),
    ]) {
      await page.evaluate((wanted) => (location.hash = wanted), hash);
      await page.waitForTimeout(100);
      expect(await page.getByRole("alert").count()).toBe(0);
      const over = await page.locator(".bits-fields").evaluate((box) => box.scrollWidth - box.clientWidth);
      expect([hash, over]).toEqual([hash, 0]);
    }
    await closePage(page);
  });

  test.each(["light", "dark"] as const)(
    "have nothing grave for axe in %s, down to 1024 pixels",
    async (scheme) => {
      for (const kind of scheme === "light" ? ["irte", "pid"] : ["irte"]) {
        const page = await openPage(hashOf({ kind, copy: "c" }), { scheme, width: 1024 });
        expect(await graveFindings(page)).toEqual([]);
        expect(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)).toBe(false);
        await closePage(page);
      }
    },
  );
});
