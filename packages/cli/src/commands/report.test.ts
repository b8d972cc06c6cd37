import { InputError, unpackHost } from "@intremap/core";
import { expect, test } from "vitest";
import type { PageFiles } from "../page/page-files.ts";
import { goodScenario } from "../testing/run-call.ts";
import { testIo } from "../testing/test-io.ts";
import { report } from "./report.ts";

/** No more of the page than takes in what is given. */
const page: PageFiles = {
  "index.html":
    '<meta http-equiv="Content-Security-Policy" content="script-src \'self\'"><link rel="stylesheet" href="./app.css"><script defer src="./app.js"></script><body></body>',
  "app.css": "",
  "app.js": "1;",
  "engine.js": "2;",
};

/** What a report of standard input has in it. */
async function givenIn(
  input: string,
  ...rest: readonly string[]
): Promise<{ given: unknown; host?: string }> {
  const io = testIo(input);
  await report("-", rest, { html: "-" }, io, page);
  const blocks = [...io.out().matchAll(/<script type="application\/json" id="[\w-]+">(.*?)<\/script>/gs)];
  const [given, host] = blocks.map(([, json]) => json!);
  return { given: JSON.parse(given!), ...(host !== undefined && { host }) };
}

test("standard input may be a host", async () => {
  const { given, host } = await givenIn("           CPU0\n 4:  5  IO-APIC 4-edge ttyS0\n");
  expect(given).toEqual({
    start: "#/machine?source=report",
    host: { name: "standard input", from: "report" },
    scenario: null,
  });
  expect(unpackHost(host!).interrupts).toMatchObject([{ irq: 4 }]);
});

test("standard input may be a scenario, with its own options", async () => {
  const own = `parameters:\n  times: { default: 1, about: how often }\n${goodScenario}`;
  const { given, host } = await givenIn(own, "--times", "3");
  expect(given).toMatchObject({
    start: "#/path?scenario=standard+input&times=3",
    host: null,
    scenario: { name: "standard input", title: "A scenario", text: own },
  });
  expect(host).toBeUndefined();
});

test.each([
  ["", "standard input: it is empty"],
  ["hello\n", "standard input: line 1: expected ir_translation_struct"],
  [
    goodScenario.replace("interrupt:", "interupt:"),
    "standard input:11:5: script[2].interupt: unknown action",
  ],
])("standard input that is neither is refused in one line: %j", async (input, message) => {
  const io = testIo(input);
  const reporting = report("-", [], { html: "-" }, io, page);
  await expect(reporting).rejects.toThrow(InputError);
  await expect(reporting).rejects.toThrow(message);
  expect(io.out()).toBe("");
});
