import { expect, test } from "vitest";
import { HostDraft } from "./draft.ts";
import { fact } from "./fact.ts";
import { packHost, unpackHost } from "./pack.ts";
import type { HostState } from "./state.ts";

/** A host with a value of each kind that JSON has none for. */
function host(): HostState {
  const draft = new HostDraft("a machine <b>bold</b>");
  const origin = { source: "proc/cpuinfo", place: "line 3" };
  draft.system.flags = fact(new Set(["x2apic", "__proto__"]), origin);
  draft.system.parameters.set("__proto__", fact("Y", { source: "sys/module" }));
  draft.system.counters.set("PIN", fact([1, 2], origin));
  const config = new Uint8Array(4096);
  config.set([0x86, 0x80, 0, 0x7f]);
  draft.device(0, 0x18).config = fact(config, origin);
  draft.device(0, 0x20).config = fact(new Uint8Array(64), origin);
  draft.descriptor(2n ** 52n - 64n, fact({ kind: "cpu", cpu: 0 }, origin)).value = fact(
    2n ** 512n - 1n,
    origin,
  );
  const unit = draft.vtdUnit("dmar0", 0xfed9_0000n);
  unit.registers.set("GSTS", fact(-1n, origin));
  unit.table = fact(
    { base: null, length: null, width: 128, entries: new Map([[3, 2n ** 127n]]), complete: false },
    origin,
  );
  draft.interrupt(4);
  draft.missing.push({ what: "kernel log", why: "no reason", needs: null });
  return draft.finish();
}

test("a host comes out as it went in", () => {
  expect(unpackHost(packHost(host()))).toEqual(host());
});

test("facts of one origin name it once", () => {
  expect(packHost(host()).split("proc/cpuinfo")).toHaveLength(2);
});

test("trailing zeros of configuration space take no room", () => {
  expect(packHost(host())).toContain('{"$bytes":[4096,"8680007f"]}');
});

function changed(from: string, to: string): string {
  const text = packHost(host());
  expect(text.split(from), from).toHaveLength(2);
  return text.replace(from, () => to);
}

test.each([
  ["no JSON", "{", "packed host: it is no JSON"],
  ["JSON of something else", "[1]", "packed host: it says nothing of its format"],
  ["another version", changed('"version":1', '"version":2'), "its version is 2, this program reads 1"],
  [
    "a version that is no number",
    changed('"version":1', '"version":{"toString":1}'),
    "its version is no number",
  ],
  [
    "a host without interrupts",
    changed('"interrupts":[{"irq":4}]', '"interrupts":7'),
    "a part of the host is not there",
  ],
  ["a number that is none", changed('{"$n":"-1"}', '{"$n":"-"}'), "$n: expected hexadecimal digits"],
  ["a number of a megabit", changed('{"$n":"-1"}', `{"$n":"${"f".repeat(2 ** 18)}"}`), "$n: expected"],
  ["bytes without end", changed("[4096,", "[4000000000,"), "$bytes: expected a length"],
  ["a tag that is not known", changed('{"$n":"-1"}', '{"$code":[]}'), "$code: not known"],
  ["a tag beside other keys", changed('{"$n":"-1"}', '{"$n":"1","a":1}'), "$n beside other keys"],
  ["a map of no pairs", changed('{"$n":"-1"}', '{"$map":[[1]]}'), "$map: expected pairs"],
  [
    "an origin that is not there",
    changed('{"$n":"-1"},"origin":1', '{"$n":"-1"},"origin":9'),
    "an origin is not there",
  ],
  ["values without end", changed('{"$n":"-1"}', "[".repeat(5000) + "]".repeat(5000)), "more than 32 deep"],
])("refused is %s", (_, text, message) => {
  expect(() => unpackHost(text)).toThrow(message);
  expect(() => unpackHost(text)).toThrow(expect.objectContaining({ name: "InputError" }));
});

test("bytes of many small texts together are bounded", () => {
  const many = Array.from({ length: 1025 }, () => '{"$bytes":[65536,""]}').join(",");
  expect(() => unpackHost(changed('{"$n":"-1"}', `[${many}]`))).toThrow("more than 64 MiB of bytes");
});
