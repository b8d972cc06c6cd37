import { describe, expect, test } from "vitest";
import { InputError } from "../../evidence/input-error.ts";
import { irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { dte } from "../../spec/amdvi/dte.ts";
import { decode, encode } from "../../spec/codec.ts";
import { msiRemappableAddress } from "../../spec/msi/message.ts";
import { irtePosted, irteRemapped, postedDescriptor } from "../../spec/vtd/irte.ts";
import { ruleOf } from "../../spec/rules.ts";
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

  test("is posted to a backing page, whose doorbell rings or whose log is written", () => {
    const guest = { remapen: 1, guestmode: 1, vector: 0x41, root: 0x3000n, gatag: 7 } as const;
    const running = tryRequest({ ...amd, entry: encode(irteGuest, { ...guest, isrun: 1, dest: 2 }) });
    expect(running.posting).toMatchObject({ address: 0x3000n, vector: 0x41, notified: true });
    expect(running.steps.at(-1)?.rule).toBe("amdvi.ga.doorbell");
    const asleep = tryRequest({ ...amd, entry: encode(irteGuest, { ...guest, galogintr: 1 }) });
    expect(asleep.posting).toMatchObject({ notified: false, urgent: true });
    expect(asleep.steps.at(-1)?.rule).toBe("amdvi.ga.log");
  });

  test.each<[string, Partial<Trial>, RegExp]>([
    ["an address that is memory's", { address: 0x1000n }, /a write to FEEx_xxxxh/],
    ["an address with high bits", { address: 0x1_fee0_0010n }, /a write to FEEx_xxxxh/],
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
