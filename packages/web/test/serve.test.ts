import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError, unpackHost } from "@intremap/core";
import type { Page } from "playwright-core";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { serve } from "../../cli/src/commands/serve.ts";
import { type PageFiles, readPage } from "../../cli/src/page/page-files.ts";
import { capturePath } from "../../cli/src/testing/captured-host.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { browserMissing, closePage, openPage, pageFolder } from "./page.ts";

const patience = 10_000;

let page: PageFiles;
beforeAll(async () => {
  page = readPage(await pageFolder());
}, 60_000);

let end: (() => Promise<void>) | undefined;
afterEach(async () => {
  await end?.();
  end = undefined;
});

/** The address that `serve` prints. */
async function served(from: string, input?: string): Promise<string> {
  const io = testIo(input);
  const stop = new AbortController();
  const ended = serve({ from, port: "0", open: false }, io, { page, signal: stop.signal });
  end = async () => {
    stop.abort();
    expect(await ended).toBe(0);
  };
  await Promise.race([ended, expect.poll(io.out, { timeout: 20_000 }).not.toBe("")]);
  expect(io.out()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}\/\n$/);
  return io.out().trim();
}

async function releaseAt(address: string): Promise<string | undefined> {
  return unpackHost(await (await fetch(`${address}host`)).text()).system.release?.value;
}

/** Has the page wait for the host until it is let go on: once for each time that it asks. */
async function hold(opened: Page): Promise<() => Promise<void>> {
  const held: (() => void)[] = [];
  await opened.route("**/host", async (route) => {
    await new Promise<void>((resolve) => held.push(resolve));
    await route.continue();
  });
  return async () => {
    await expect.poll(() => held.length, { timeout: patience }).toBe(1);
    const answer = opened.waitForResponse((response) => response.url().endsWith("/host"));
    held.pop()!();
    await (await answer).finished();
  };
}

function heading(opened: Page): Promise<string | null> {
  return opened.locator("h1").textContent();
}

const capture = "intel61-hold.tar.xz";

describe.skipIf(browserMissing)("the served page", { timeout: 60_000 }, () => {
  test("opens at the host, and reads it anew on request", async () => {
    const folder = mkdtempSync(join(tmpdir(), "intremap-serve-"));
    const file = join(folder, "host.tar.xz");
    copyFileSync(capturePath("intel61-hold"), file);
    const address = await served(file);
    const opened = await openPage("", { address });
    expect(new URL(opened.url()).hash).toBe("#/machine?source=live");
    await opened.getByText("present entries").first().waitFor({ timeout: patience });

    copyFileSync(new URL("../../../captures/intel612.tar.xz", import.meta.url), file);
    const [answer] = await Promise.all([
      opened.waitForResponse((response) => response.url().endsWith("/host"), { timeout: patience }),
      opened.getByRole("button", { name: "Read anew" }).click({ timeout: patience }),
    ]);
    expect(unpackHost(await answer.text()).system.release?.value).toMatch(/^6\.12\./);
    await opened.getByText("Linux 6.12.").first().waitFor({ timeout: patience });
    await closePage(opened);
    rmSync(folder, { recursive: true });
  });

  test("says so when nobody serves it any more", async () => {
    const address = await served(capturePath("intel61-hold"));
    const opened = await openPage("", { address });
    await opened.getByText("present entries").first().waitFor({ timeout: patience });
    await end!();
    end = undefined;
    await opened.getByRole("button", { name: "Read anew" }).click({ timeout: patience });
    await opened.getByText("intremap serve does not answer").waitFor({ timeout: patience });
    await opened.context().close();
  });
});

describe.skipIf(browserMissing)("a reading of the served host", { timeout: 60_000 }, () => {
  test("that was stopped is given up, and begins anew on request", async () => {
    const opened = await openPage("", { address: await served(capturePath("intel61-hold")) });
    await opened.locator(".machine .rows").waitFor({ timeout: patience });
    await opened.getByRole("button", { name: "Close" }).click();
    const letGo = await hold(opened);
    await opened.getByRole("button", { name: capture }).click();
    await opened.getByRole("heading", { name: `Reading ${capture}` }).waitFor({ timeout: patience });
    expect(await opened.locator(".waiting p").textContent()).not.toContain("this machine");
    await opened.getByRole("button", { name: "Stop" }).click();
    await letGo();
    await opened.waitForTimeout(1500);
    expect(await heading(opened)).toBe("Machine");
    await opened.getByRole("button", { name: capture }).click();
    await letGo();
    await opened.locator(".machine .rows").waitFor({ timeout: patience });
    await closePage(opened);
  });

  test("does not bring a host back that was closed meanwhile", async () => {
    const opened = await openPage("", { address: await served(capturePath("intel61-hold")) });
    await opened.locator(".machine .rows").waitFor({ timeout: patience });
    const letGo = await hold(opened);
    await opened.getByRole("button", { name: "Read anew" }).click();
    await opened.getByRole("button", { name: "Close" }).click();
    await letGo();
    await opened.waitForTimeout(1500);
    expect(await heading(opened)).toBe("Machine");
    expect(await opened.getByText("go on with it").count()).toBe(0);
    await closePage(opened);
  });

  test("that failed begins anew on request", async () => {
    const opened = await openPage("#/machine", { address: await served(capturePath("intel61-hold")) });
    await opened.route("**/host", (route) => route.abort());
    await opened.getByRole("button", { name: capture }).click();
    await opened.getByText("intremap serve does not answer").waitFor({ timeout: patience });
    await opened.unroute("**/host");
    await opened.getByRole("button", { name: capture }).click();
    await opened.locator(".machine .rows").waitFor({ timeout: patience });
    await opened.context().close();
  });

  test.each([
    ["the table and the steps", "", ".rows", ".steps [data-step='2'] > button"],
    ["the topology", "&show=topology&zoom=2", ".frame", ".node.unit.remapped"],
  ])("every few seconds leaves the reader of %s alone", async (_, rest, frame, place) => {
    const address = await served(capturePath("intel61-hold"));
    const opened = await openPage(`#/machine?source=live&at=dmar0%3A0${rest}`, { address });
    await opened.locator(place).waitFor({ timeout: patience });
    await opened.locator(frame).evaluate((list) => (list.scrollTop = 200));
    await opened.locator(place).evaluate((one) => {
      (one as HTMLElement).focus({ preventScroll: true });
      one.setAttribute("data-mark", "");
    });
    for (let time = 0; time < 2; time++) {
      const answer = opened.waitForResponse((response) => response.url().endsWith("/host"));
      await opened.getByRole("combobox", { name: "every" }).selectOption("2", { force: true });
      await answer;
    }
    await opened.waitForTimeout(1000);
    expect(await opened.locator(frame).evaluate(({ scrollTop }) => scrollTop)).toBe(200);
    expect(await opened.evaluate(() => document.activeElement?.hasAttribute("data-mark"))).toBe(true);
    await closePage(opened);
  });

  test("is made for a link to Path", async () => {
    const address = await served(capturePath("intel61-hold"));
    const opened = await openPage("#/path?follow=irq+45&source=live", { address });
    await opened.locator(".step-row").first().waitFor({ timeout: patience });
    expect(await opened.locator(".scenario-title").textContent()).toContain("irq 45");
    await closePage(opened);
  });
});

test("a text from standard input is read once and kept", async () => {
  const address = await served(
    "-",
    "Linux version 6.7.8 (x@y)\nDMAR-IR: Enabled IRQ remapping in x2apic mode\n",
  );
  const first = await (await fetch(`${address}host`)).text();
  expect(unpackHost(first).source).toBe("-");
  expect(await (await fetch(`${address}host`)).text()).toBe(first);
});

test("a host that is gone is an answer in one line, and the server goes on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "intremap-serve-"));
  const file = join(folder, "host.tar.xz");
  copyFileSync(capturePath("intel61-hold"), file);
  const address = await served(file);
  expect(await releaseAt(address)).toMatch(/^6\.1\./);
  rmSync(folder, { recursive: true });
  const answer = await fetch(`${address}host`);
  expect(answer.status).toBe(500);
  expect(await answer.text()).toMatch(/host\.tar\.xz: no such file$/);
  expect((await fetch(address)).status).toBe(200);
});

test("with --json the address is in a document", async () => {
  const io = testIo("DMAR-IR: Enabled IRQ remapping in x2apic mode\n");
  const stop = new AbortController();
  const ended = serve({ from: "-", port: "0", open: false, json: true }, io, { page, signal: stop.signal });
  await expect.poll(io.out, { timeout: patience }).not.toBe("");
  const { address, port, ...rest } = JSON.parse(io.out()) as { address: string; port: number };
  expect(rest).toEqual({ schema: "intremap/serve/1", source: "-" });
  expect(new URL(address).port).toBe(String(port));
  stop.abort();
  expect(await ended).toBe(0);
});

test.each([
  [{ from: "nothing.tar", port: "0" }, "nothing.tar: no such file"],
  [{ from: "live", port: "65536" }, "--port 65536: expected a number from 0 to 65535"],
  [{ from: "live", port: "x" }, "--port x: expected a number"],
])("%j is refused in one line", async (flags, message) => {
  const refused = serve({ ...flags, open: false }, testIo(), { page });
  await expect(refused).rejects.toThrow(InputError);
  await expect(serve({ ...flags, open: false }, testIo(), { page })).rejects.toThrow(message);
});
