import { expect, test } from "vitest";
import { decode } from "../../spec/codec.ts";
import { irteRemapped } from "../../spec/vtd/irte.ts";
import { host, one, unitOf } from "../follow/testing/followed-host.ts";
import type { TestHost } from "../host/testing/test-host.ts";
import { followedSteps } from "./followed-steps.ts";

test("an interrupt of a host is told as it was followed, and its entry's bits with it", () => {
  const interrupt = one(host());
  const steps = followedSteps(interrupt);
  expect(
    steps.map(({ title, detail, verdict, rule, section }) => ({ title, detail, verdict, rule, section })),
  ).toEqual(
    interrupt.path.map(({ title, detail, verdict, rule, section }) => ({
      title,
      detail,
      verdict,
      rule,
      section,
    })),
  );
  const stops = new Set(steps.map(({ stop }) => stop));
  expect([...stops]).toEqual(["device", "bus", "unit", "entry", "apic", "software"]);
  const entry = steps.flatMap(({ touched }) => touched).find(({ layout }) => layout === "irte-remapped");
  expect(decode(irteRemapped, entry!.value)).toMatchObject({ v: 0x24, sid: 0x18, dst: 0x200 });
});

/** Which layouts of a message, and of an entry, are shown. */
function layoutsOf(test: TestHost): string[] {
  const shown = followedSteps(one(test)).flatMap(({ touched }) => touched.map(({ layout }) => layout));
  return [...new Set(shown)].sort();
}

test("a message that nobody remaps is shown in compatibility format, though it has bit 4 set", () => {
  const remapping = layoutsOf(host());
  expect(remapping).toEqual(["irte-remapped", "msi-remappable-address", "msi-remappable-data"]);
  const test = host();
  unitOf(test).registers.set("GSTS", test.fact(0n));
  expect(layoutsOf(test).filter((layout) => layout.includes("remappable"))).toEqual([]);
});

test("an entry has the form of a posted one only before a unit that posts", () => {
  const test = host().posted(21, { vv: 0x24, sid: 0x18, pda: 0x1240n });
  expect(layoutsOf(test)).toContain("irte-posted");
  unitOf(test).capability = test.fact(0x22n << 24n);
  expect(layoutsOf(test)).toContain("irte-remapped");
});
