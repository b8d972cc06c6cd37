import { describe, expect, test } from "vitest";
import { InputError } from "../../evidence/input-error.ts";
import { irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { dte } from "../../spec/amdvi/dte.ts";
import { decode, encode, hex } from "../../spec/codec.ts";
import { msiRemappableAddress } from "../../spec/msi/message.ts";
import { irtePosted, irteRemapped, postedDescriptor } from "../../spec/vtd/irte.ts";
import { type RuleId, ruleOf } from "../../spec/rules.ts";
import type { Trial } from "./trial.ts";
import { tryRequest } from "./try-request.ts";

const to = (handle: number): bigint =>
  encode(msiRemappableAddress, { prefix: 0xfee, format: 1, shv: 1, handle });
const remapped = encode(irteRemapped, { p: 1, v: 0x31, dst: 4, sid: 0x0100, svt: 1 });
const intel: Trial = { vendor: "intel", entry: remapped, address: to(5), data: 0 };
const amd: Trial = {
  vendor: "amd",
  entry: encode(irteRemapped128, { remapen: 1, vector: 0x31, dest: 4 }),
  address: 0xfee0_0000n,
  data: 5,
};

/** A device's entry that remaps but for these fields. */
const by = (fields: Parameters<typeof encode<keyof typeof dte.fields>>[1]): Partial<Trial> => ({
  deviceEntry: encode(dte, { v: 1, iv: 1, intctl: 2, inttablen: 9, ...fields }),
});

/** What a step of a request's way says. */
function detailOf(trial: Trial, title: string): string {
  return tryRequest(trial).steps.find((step) => step.title === title)!.detail;
}

describe("a request that is tried", () => {
  test("is remapped through the entry that it names, step by step", () => {
    const { outcome, rule, requester, decision, steps } = tryRequest(intel);
    expect({ outcome, rule, requester }).toEqual({
      outcome: "remapped",
      rule: "vtd.ir.remap",
      requester: 0x0100,
    });
    expect(decision.index).toBe(5);
    expect(decision.delivery).toMatchObject({ vector: 0x31, destination: 4 });
    expect(decision.steps.map(({ verdict }) => verdict)).toEqual([
      ...Array<string>(9).fill("held"),
      "delivered",
    ]);
    expect(steps.map(({ stop }) => stop)).toEqual([
      "device",
      "bus",
      ...Array<string>(5).fill("unit"),
      ...Array<string>(5).fill("entry"),
      "apic",
    ]);
    const read = steps.flatMap(({ touched }) => touched).filter(({ layout }) => layout === "irte-remapped");
    expect(read.length).toBeGreaterThan(0);
    expect(read.every(({ value, before }) => value === remapped && before === null)).toBe(true);
  });

  test("is blocked where its requester is another one, with the reason that is recorded", () => {
    const { outcome, rule, section, fault, steps } = tryRequest({ ...intel, requester: 0x0200 });
    expect({ outcome, rule, fault }).toEqual({
      outcome: "blocked",
      rule: "vtd.ir.sid-mismatch",
      fault: { name: "26h", recorded: true },
    });
    expect(section).toEqual(ruleOf("vtd.ir.sid-mismatch").section);
    expect(steps.at(-1)).toMatchObject({
      verdict: "blocked here",
      rule: "vtd.ir.sid-mismatch",
      stop: "entry",
    });
  });

  test("is posted into the descriptor that it is given, and notified unless ON is set", () => {
    const entry = encode(irtePosted, { p: 1, im: 1, vv: 0x41, pda: 0x2000n, sid: 0x0100, svt: 1 });
    const descriptor = encode(postedDescriptor, { nv: 0xf2, ndst: 3 });
    const first = tryRequest({ ...intel, entry, descriptor });
    expect(first.outcome).toBe("posted");
    expect(first.posting).toMatchObject({ address: 0x2000n, vector: 0x41, notified: true });
    expect(first.posting!.before).toBe(descriptor);
    const after = decode(postedDescriptor, first.posting!.after!);
    expect(after).toMatchObject({ on: 1, pir: 1n << 0x41n, nv: 0xf2 });
    expect(first.steps.at(-1)).toMatchObject({ stop: "apic", actor: "APIC 3" });

    const second = tryRequest({ ...intel, entry, descriptor: first.posting!.after! });
    expect(second.posting).toMatchObject({ notified: false, after: first.posting!.after });
    expect(second.steps.at(-1)).toMatchObject({ stop: "descriptor", rule: "vtd.post.coalesced" });
  });

  test.each<[urg: 0 | 1, sn: 0 | 1, on: 0 | 1, rule: RuleId, notified: boolean]>([
    [0, 0, 0, "vtd.post.notify", true],
    [0, 0, 1, "vtd.post.coalesced", false],
    [0, 1, 0, "vtd.post.suppressed", false],
    [0, 1, 1, "vtd.post.coalesced", false],
    [1, 0, 0, "vtd.post.notify", true],
    [1, 0, 1, "vtd.post.coalesced", false],
    [1, 1, 0, "vtd.post.notify", true],
    [1, 1, 1, "vtd.post.coalesced", false],
  ])("is posted with URG=%i, SN=%i and ON=%i by %s", (urg, sn, on, rule, notified) => {
    const entry = encode(irtePosted, { p: 1, im: 1, urg, vv: 0x41, pda: 0x2000n, sid: 0x0100, svt: 1 });
    const descriptor = encode(postedDescriptor, { nv: 0xf2, ndst: 3, sn, on });
    const { steps, posting } = tryRequest({ ...intel, entry, descriptor });
    expect(posting!.notified).toBe(notified);
    expect(steps.filter(({ stop }) => stop === "descriptor").map((step) => step.rule)).toEqual([rule]);
    const sent = steps.filter(({ stop }) => stop === "apic");
    expect(sent.map((step) => step.rule)).toEqual(notified ? ["vtd.post.notify"] : []);
  });

  test("hangs on the settings of the unit", () => {
    const xapic = {
      ...intel,
      entry: encode(irteRemapped, { ...decode(irteRemapped, remapped), dst: 0x0001_0004 }),
    };
    expect(tryRequest({ ...xapic, eime: true }).outcome).toBe("remapped");
    expect(tryRequest({ ...xapic, eime: false }).rule).toBe("vtd.ir.entry-reserved");
    expect(tryRequest({ ...intel, remapping: false })).toMatchObject({
      outcome: "passed",
      rule: "vtd.ir.pass-through",
    });
    const compatible = { ...intel, address: 0xfee0_1000n, data: 0x31, eime: false };
    expect(tryRequest(compatible).rule).toBe("vtd.ir.compatibility-blocked");
    expect(tryRequest({ ...compatible, compatibility: true }).rule).toBe("vtd.ir.compatibility-pass");
    expect(tryRequest({ ...intel, profile: "vtd-qemu", requester: 0x0200 }).outcome).toBe("blocked");
  });

  test("goes to an AMD-Vi unit, whose device's entry may be given", () => {
    expect(tryRequest(amd)).toMatchObject({
      outcome: "remapped",
      decision: { index: 5, delivery: { vector: 0x31, destination: 4 } },
    });
    const aborts = encode(dte, { v: 1, iv: 1, intctl: 0, inttablen: 9 });
    expect(tryRequest({ ...amd, deviceEntry: aborts })).toMatchObject({
      outcome: "blocked",
      rule: "amdvi.ir.intctl-abort",
    });
    expect(tryRequest({ ...amd, entry: 0n })).toMatchObject({
      rule: "amdvi.ir.not-enabled",
      fault: { name: "IO_PAGE_FAULT", recorded: true },
    });
  });

  test.each([0x1373b8000n, 0n, 2n ** 50n, 2n ** 51n, 2n ** 52n - 2n ** 20n])(
    "finds its entry in the table to which the device's entry points, 0x%x",
    (inttableptr) => {
      const deviceEntry = encode(dte, { v: 1, iv: 1, intctl: 2, inttablen: 9, inttableptr });
      const { outcome, decision } = tryRequest({ ...amd, deviceEntry });
      expect(outcome).toBe("remapped");
      expect(decision.entry!.address).toBe(inttableptr + 16n * 5n);
    },
  );

  test.each<[string, Partial<Trial>, step: string, RuleId, message: string]>([
    ["remapping is off", { remapping: false }, "remapping is on", "amdvi.ir.disabled", "0xfee00000 ← 0x5"],
    ["IV=0", by({ iv: 0 }), "the device's interrupts are mapped", "amdvi.ir.map-invalid", "0xfee00000 ← 0x5"],
    [
      "it is an SMI",
      { data: 0x205, ...by({ intctl: 1 }) },
      "the message's type",
      "amdvi.ir.smi-passes",
      "0xfee00000 ← 0x205",
    ],
    [
      "it is an NMI and NMIPass=1",
      { data: 0x405, ...by({ intctl: 1, nmipass: 1 }) },
      "the message's type",
      "amdvi.ir.type-passes",
      "0xfee00000 ← 0x405",
    ],
    [
      "IntCtl=01b",
      by({ intctl: 1 }),
      "what the device's entry says of interrupts",
      "amdvi.ir.intctl-pass",
      "0xfee00000 ← 0x5",
    ],
    [
      "IntCtl=01b, though QEMU zeroes it",
      { profile: "amdvi-qemu", ...by({ intctl: 1 }) },
      "what the device's entry says of interrupts",
      "qemu.amdvi.pass-zeroed",
      "0xfee00000 ← 0x4000",
    ],
  ])("passes an AMD-Vi unit where %s, and ends there", (_, change, step, rule, message) => {
    const { outcome, decision, steps, ...result } = tryRequest({ ...amd, ...change });
    const { address, data } = decision.message!;
    expect([outcome, result.rule, `${hex(address)} ← ${hex(data)}`]).toEqual(["passed", rule, message]);
    const last = steps.findLast(({ verdict }) => verdict !== null);
    expect(last).toMatchObject({ title: step, verdict: "passed here", rule });
    expect(decision.entry).toBeNull();
  });

  test("of an unknown requester has no device with AMD-Vi, and the south bridge's IOAPIC with QEMU's", () => {
    const refused = tryRequest({ ...amd, requester: null });
    expect(refused).toMatchObject({ rule: "amdvi.ir.requester-unknown", requester: null });
    expect(refused.steps.at(-1)).toMatchObject({
      verdict: "blocked here",
      detail: "requester unknown: no DeviceID",
    });
    const taken = tryRequest({ ...amd, profile: "amdvi-qemu", requester: null });
    expect(taken).toMatchObject({ outcome: "remapped", decision: { delivery: { vector: 0x31 } } });
    expect(taken.steps.map(({ detail }) => detail)).toContain("DeviceID 00:14.0, 65536 entries");
    const looked = taken.steps.flatMap(({ touched }) => touched).filter(({ layout }) => layout === dte.name);
    expect(new Set(looked.map(({ what }) => what))).toEqual(new Set(["device table entry of 00:14.0"]));
    expect(looked.every(({ value }) => value !== 0n)).toBe(true);
  });

  test("takes the type's bits for the index's only where the unit can", () => {
    const wide = { ...amd, address: 0xfee0_0004n, index2048: true };
    const title = "the message's type";
    const fixed = "data bits 10:8 are 0: fixed";
    expect(detailOf(wide, title)).toBe("2048 interrupts a device: data bits 10:8 belong to the index");
    expect(detailOf({ ...wide, address: 0xfee0_0000n }, title)).toBe(fixed);
    expect(detailOf({ ...wide, profile: "amdvi-qemu" }, title)).toBe(fixed);
  });

  test("cites of the root complex what is VT-d's only before VT-d", () => {
    const cited = [intel, amd].map((trial) => tryRequest(trial).steps.find(({ stop }) => stop === "bus")!);
    expect(cited.map(({ rule }) => rule)).toEqual(["pci.dma.interrupt-range", null]);
  });

  test("names a vector as the next step does, and how its destination is meant", () => {
    const details = ([0, 1] as const).map((dm) => {
      const entry = encode(irteRemapped128, { remapen: 1, vector: 0x20, dest: 4, dm });
      return detailOf({ ...amd, entry }, "the interrupt is delivered");
    });
    expect(details).toEqual(["vector 20h, destination 0x4", "vector 20h, logical destination 0x4"]);
  });

  test("is posted to a backing page, whose doorbell rings or whose log is written", () => {
    const guest = { remapen: 1, guestmode: 1, vector: 0x41, root: 0x3000n, gatag: 7 } as const;
    const running = tryRequest({ ...amd, entry: encode(irteGuest, { ...guest, isrun: 1, dest: 2 }) });
    expect(running.posting).toMatchObject({ address: 0x3000n, vector: 0x41, notified: true });
    expect(running.steps.at(-1)?.rule).toBe("amdvi.ga.doorbell");
    const asleep = tryRequest({ ...amd, entry: encode(irteGuest, { ...guest, galogintr: 1 }) });
    expect(asleep.posting).toMatchObject({ notified: false, urgent: true });
    expect(asleep.steps.at(-1)?.rule).toBe("amdvi.ga.log");
  });

  test("has a type in its AMD-Vi entry only outside of guest mode, which has GALogIntr there", () => {
    const entry = encode(irteGuest, { remapen: 1, guestmode: 1, galogintr: 1, root: 0x3000n });
    const title = "guest mode and reserved fields of the entry";
    expect(detailOf({ ...amd, entry }, title)).toBe("GuestMode=1");
    expect(detailOf(amd, title)).toBe("GuestMode=0, IntType=0");
  });

  test.each<[string, Partial<Trial>, RegExp]>([
    ["an address that is memory's", { address: 0x1000n }, /a write to FEEx_xxxxh/],
    ["an address with high bits", { address: 0x1_fee0_0010n }, /a write to FEEx_xxxxh/],
    ["data that is too wide", { data: 2 ** 32 + 5 }, /data 0x100000005: wider than 32 bits/],
    ["data below 0", { data: -1 }, /data -1: expected a whole number of 32 bits/],
    ["data that is no whole number", { data: 0.5 }, /data 0.5: expected a whole number/],
    ["a requester that is too wide", { requester: 0x12345 }, /requester 0x12345: wider than 16 bits/],
    ["a requester below 0", { requester: -1 }, /requester -1: expected a whole number of 16 bits/],
    ["an entry that is too wide", { entry: 1n << 128n }, /entry 0x1.* wider than 128 bits/],
    [
      "a profile of another vendor",
      { profile: "amdvi-strict" },
      /profile amdvi-strict: there is none for VT-d/,
    ],
  ])("is refused with %s", (_, change, message) => {
    expect(() => tryRequest({ ...intel, ...change })).toThrow(InputError);
    expect(() => tryRequest({ ...intel, ...change })).toThrow(message);
  });
});
