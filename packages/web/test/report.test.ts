import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Following, type HostMap, InputError, unpackHost } from "@intremap/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { report } from "../../cli/src/commands/report.ts";
import { type PageFiles, readPage } from "../../cli/src/page/page-files.ts";
import { run } from "../../cli/src/program.ts";
import { capturePath } from "../../cli/src/testing/captured-host.ts";
import { goodScenario } from "../../cli/src/testing/run-call.ts";
import { testIo } from "../../cli/src/testing/test-io.ts";
import { browserMissing, closePage, openPage, pageFolder } from "./page.ts";

const folder = mkdtempSync(join(tmpdir(), "intremap-report-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const html = join(folder, "report.html");

const patience = 10_000;

let page: PageFiles;
beforeAll(async () => {
  page = readPage(await pageFolder());
}, 60_000);

async function reported(subject: string, ...rest: string[]): Promise<string> {
  const io = testIo();
  const compare = rest[0] === "--compare" ? { compare: rest[1]! } : {};
  expect(
    await report(subject, rest[0] === "--compare" ? rest.slice(2) : rest, { html, ...compare }, io, page),
  ).toBe(0);
  expect(io.err()).toBe("");
  return io.out();
}

describe.skipIf(browserMissing)("a report in one file", { timeout: 60_000 }, () => {
  test("of a host opens at its map, which is what map prints", async () => {
    const capture = capturePath("intel61-hold");
    expect(await reported(capture)).toMatch(/report\.html: \d\.\d MB, opens at #\/machine\?source=report\n$/);
    const opened = await openPage("", { address: pathToFileURL(html).href });
    expect(new URL(opened.url()).hash).toBe("#/machine?source=report");
    const packed = await opened.locator("#given-host").textContent();
    expect(unpackHost(packed!).system.release?.value).toMatch(/^6\.1\./);

    const io = testIo();
    await run(["map", "--json", "--from", capture], io);
    const { totals } = JSON.parse(io.out()) as HostMap;
    expect(totals.entries).toBe(27);
    const figures = opened.locator("dl.figures > *").filter({ hasText: "present entries" });
    await figures.waitFor({ timeout: patience });
    expect(await figures.textContent()).toContain(String(totals.entries));
    await closePage(opened);
  });

  test("of a host reopens what a link to Path follows in it, and leads back to where Machine was left", async () => {
    const capture = capturePath("intel61-hold");
    await reported(capture);
    const hash = "#/machine?source=report&show=budgets&at=01%3A00.0&which=3";
    const opened = await openPage(hash, { address: pathToFileURL(html).href });
    await opened.getByRole("button", { name: "Step through it in Path" }).click({ timeout: patience });
    const io = testIo();
    await run(["follow", "01:00.0", "--json", "--from", capture], io);
    const { interrupts } = JSON.parse(io.out()) as Following;
    const title = opened.locator(".scenario-title");
    await title.waitFor({ timeout: patience });
    expect(await title.textContent()).toContain(interrupts[2]!.title);
    const link = new URL(opened.url()).hash;
    expect(link).toBe("#/path?follow=01%3A00.0&source=report&which=3");
    await opened.getByRole("link", { name: "Back to Machine" }).click();
    expect(new URL(opened.url()).hash).toBe(hash);
    await closePage(opened);

    const again = await openPage(link, { address: pathToFileURL(html).href });
    const titleAgain = again.locator(".scenario-title");
    await titleAgain.waitFor({ timeout: patience });
    expect(await titleAgain.textContent()).toContain(interrupts[2]!.title);
    await again.getByRole("link", { name: "Back to Machine" }).click();
    expect(new URL(again.url()).hash).toBe("#/machine?source=report&which=3&at=01%3A00.0");
    await again.getByRole("heading", { name: "Path of 01:00.0" }).waitFor({ timeout: patience });
    await closePage(again);
  });

  test("of a scenario opens at its path, with its options", async () => {
    await reported("passthrough-posted", "--compare", "passthrough-remapped", "--vectors=7");
    const opened = await openPage("", { address: pathToFileURL(html).href });
    expect(new URL(opened.url()).hash).toBe(
      "#/path?scenario=passthrough-posted&compare=passthrough-remapped&vectors=7",
    );
    await opened.getByRole("heading", { level: 1 }).waitFor({ timeout: patience });
    await closePage(opened);
  });

  test("of a scenario of one's own has it in itself", async () => {
    const own = join(folder, "mine.yaml");
    writeFileSync(own, goodScenario.replace("A scenario", "</script><b>Mine</b>"));
    await reported(own);
    const opened = await openPage("", { address: pathToFileURL(html).href });
    expect(new URL(opened.url()).hash).toBe("#/path?scenario=mine");
    await opened.getByText("</script><b>Mine</b>").first().waitFor({ state: "attached", timeout: patience });
    await closePage(opened);
  });

  test("goes on to the other views, whose addresses are kept", async () => {
    await reported("passthrough-posted");
    const opened = await openPage("#/bits", { address: pathToFileURL(html).href });
    await opened.getByRole("link", { name: "Races" }).click();
    expect(new URL(opened.url()).hash).toBe("#/races");
    await opened.goBack();
    expect(new URL(opened.url()).hash).toBe("#/bits");
    await closePage(opened);
  });
});

test.each<[string, string[], string]>([
  ["nothing.bin", [], 'there is no scenario and no file "nothing.bin": expected live, a file or folder'],
  ["passthrough-posted", ["--packets", "3"], 'passthrough-posted has no option "--packets": expected'],
  ["passthrough-posted", ["--vectors", "x"], '--vectors "x": expected a whole number'],
  [capturePath("intel61-hold"), ["--vectors", "3"], '"--vectors" goes with a scenario'],
  ["none.yaml", [], 'there is no scenario and no file "none.yaml"'],
])("%s %j is refused in one line, and nothing is written", async (subject, rest, message) => {
  const target = join(folder, "refused.html");
  await expect(report(subject, rest, { html: target }, testIo(), page)).rejects.toThrow(InputError);
  await expect(report(subject, rest, { html: target }, testIo(), page)).rejects.toThrow(message);
  expect(() => rmSync(target)).toThrow("ENOENT");
});

test("with --json what was written is said", async () => {
  const io = testIo();
  await report("affinity-change", [], { html, json: true }, io, page);
  expect(JSON.parse(io.out())).toEqual({
    schema: "intremap/report/1",
    file: html,
    bytes: statSync(html).size,
    kind: "scenario",
    subject: "affinity-change",
    opens: "#/path?scenario=affinity-change",
  });
});

test("to standard output goes the page and nothing else", async () => {
  const io = testIo();
  await report("affinity-change", [], { html: "-" }, io, page);
  expect(io.out()).toMatch(/^<!doctype html>/);
  expect(io.out().trimEnd()).toMatch(/<\/html>$/);
  const both = report("affinity-change", [], { html: "-", json: true }, testIo(), page);
  await expect(both).rejects.toThrow("--html - and --json: both want standard output");
});
