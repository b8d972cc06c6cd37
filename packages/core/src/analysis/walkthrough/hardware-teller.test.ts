import { beforeAll, describe, expect, test } from "vitest";
import { type Draft, guest, nic, runDraft } from "../../machine/testbed.ts";
import { invalidDeviceRequest } from "../../spec/amdvi/events.ts";
import { galogEntry } from "../../spec/amdvi/galog.ts";
import { irteGuest } from "../../spec/amdvi/irte.ts";
import { decode } from "../../spec/codec.ts";
import type { WalkStep } from "./step.ts";
import { ofRequest, walkDraft } from "./testbed.ts";
import type { Walkthrough } from "./walkthrough.ts";

const vendors = ["intel", "amd"] as const;

const last = async (draft: Draft): Promise<WalkStep[]> => {
  const { steps } = await walkDraft(draft);
  return steps.filter(({ episode }) => episode === draft.script!.length);
};

describe("an interrupt for a vCPU of AMD's that sleeps", () => {
  const draft: Draft = {
    machine: { vendor: "amd", cmdline: "amd_iommu=on" },
    devices: { ...nic, bad: { at: "02:00.0", msix: 4 } },
    vms: guest,
    script: [
      { start: "guest" },
      { enable: { device: "nic", vectors: 1 } },
      { halt: "guest/0" },
      { interrupt: { device: "nic" } },
      { write: { device: "bad", address: 0xfee0_0000, data: 0x31 } },
    ],
  };
  let walk: Walkthrough;
  beforeAll(async () => {
    walk = await walkDraft(draft);
  });

  test("is told in one chain: the log, the unit's own interrupt for it, the driver, the vCPU that wakes", () => {
    const steps = ofRequest(walk, 1);
    const from = steps.findIndex(({ verdict }) => verdict === "posted");
    const chain = steps.slice(from).map(({ title }) => title);
    expect(chain.slice(1, 6)).toEqual([
      "the unit sets vector 20h in the backing page of guest/0",
      "the unit writes to the guest virtual APIC log",
      "the unit raises its own interrupt",
      "the local APIC accepts vector 20h",
      "cpu 1 takes vector 20h",
    ]);
    expect(chain).toContain("the driver reads the guest virtual APIC log");
    expect(chain.at(-1)).toBe("guest/0 takes vector 20h");
  });

  test("obeys what the entry in memory says of the vCPU, where the unit still keeps it as it was", async () => {
    const script = [
      ...draft.script!.slice(0, 2),
      { interrupt: { device: "nic" } },
      ...draft.script!.slice(2),
    ];
    const steps = ofRequest(await walkDraft({ ...draft, script }), 2);
    const entries = steps.flatMap(({ touched }) =>
      touched.filter(({ layout }) => layout === irteGuest.name).map(({ value }) => decode(irteGuest, value)),
    );
    expect(steps.map(({ detail }) => detail)).toContain("kept by the unit");
    expect(entries.length).toBeGreaterThan(1);
    for (const entry of entries) expect(entry).toMatchObject({ isrun: 0, galogintr: 1, vector: 0x20 });
  });

  test("shows the bit of its vector, and the entry of the log with the vCPU's tag", () => {
    const steps = ofRequest(walk, 1);
    const at = steps.findIndex(({ rule }) => rule === "amdvi.ga.log");
    const [page] = steps[at - 1]!.touched;
    expect(page).toMatchObject({
      what: "IRR 1 in the backing page of guest/0",
      value: 1n,
      fields: ["vectors"],
    });
    const [log] = steps[at]!.touched;
    expect(decode(galogEntry, log!.value)).toMatchObject({ code: 1, devid: 0x0100 });
    const { gatag } = decode(irteGuest, steps[at - 2]!.touched[0]!.value);
    expect(decode(galogEntry, log!.value).gatag).toBe(gatag);
  });

  test("leaves nothing to be told of the next request, whose fault raises an interrupt once", () => {
    const steps = ofRequest(walk, 2);
    const own = steps.filter(({ rule }) => rule === "amdvi.event.not-remapped");
    expect(own.map(({ detail }) => detail)).toEqual(["0xfee01004 ← 0x20, which is not remapped"]);
    expect(steps.filter(({ rule }) => rule === "apic.accept.fixed").map(({ actor }) => actor)).toEqual([
      "cpu 0",
    ]);
  });
});

test("a request that AMD's unit refuses shows the event that it wrote to its log", async () => {
  const steps = await last({
    machine: { vendor: "amd", cmdline: "" },
    devices: nic,
    script: [{ write: { device: "nic", address: 0xfee0_0000, data: 0x31 } }],
  });
  const [event] = steps.find(({ rule }) => rule === "amdvi.event.log")!.touched;
  expect(event!.layout).toBe(invalidDeviceRequest.name);
  expect(decode(invalidDeviceRequest, event!.value)).toMatchObject({ code: 8, devid: 0x0100, type: 5 });
});

const unaligned = (vendor: string): Draft => ({
  machine: { vendor, cmdline: "" },
  devices: { bad: { at: "02:00.0", msix: 4 } },
  script: [{ write: { device: "bad", address: 0xfee0_0002, data: 1 } }],
});

describe("an access to the interrupt range that is no request", () => {
  test.each(vendors)("is blocked, kept as a fault and signalled, in this order: %s", async (vendor) => {
    const steps = await last(unaligned(vendor));
    expect(steps.slice(0, 5).map(({ rule }) => rule)).toEqual(
      vendor === "intel"
        ? [
            "vtd.ir.malformed-request",
            "vtd.fault.record",
            "vtd.fault.event-not-remapped",
            "apic.accept.fixed",
            "pci.dma.interrupt-range",
          ]
        : [
            "amdvi.ir.malformed-request",
            "amdvi.event.log",
            "amdvi.event.not-remapped",
            "apic.accept.fixed",
            "pci.dma.interrupt-range",
          ],
    );
    expect(steps[0]).toMatchObject({
      verdict: "blocked here",
      actor: vendor === "intel" ? "dmar0" : "ivhd0",
    });
    expect(steps[1]!.detail).toMatch(/^(reason 29h|INVALID_DEVICE_REQUEST), requester 02:00\.0$/);
  });

  test.each(vendors)("counts as none of the requests: %s", async (vendor) => {
    const steps = await last(unaligned(vendor));
    expect(steps.every(({ request }) => request === null)).toBe(true);
  });
});

describe("DMA is told by the rule that it was held against", () => {
  const assigned = { devices: nic, vms: guest };
  const start = { start: "guest" };
  const free = { devices: { bad: { at: "02:00.0", msix: 4, confined: false } } };
  const confined = { devices: { bad: { at: "02:00.0", msix: 4 } } };
  test.each([
    ["of a function that nothing confines", free, [], "bad", 0x10_0000, "pci.dma.unconfined"],
    ["of a function that is confined", confined, [], "bad", 0x10_0000, "pci.dma.confined"],
    ["of a confined function to what is its own", assigned, [start], "nic", 2 ** 32, "pci.dma.confined"],
    ["beyond the address space", free, [], "bad", 2 ** 53 - 8, "pci.dma.address-width"],
    ["to the interrupt range", free, [], "bad", 0xfee0_0002, "pci.dma.interrupt-range"],
  ])("%s", async (_, parts, before, device, address, rule) => {
    const draft: Draft = { ...parts, script: [...before, { write: { device, address, data: 1 } }] };
    const { episodes } = await runDraft(draft);
    const [end] = episodes.at(-1)!.details;
    const told = (await last(draft)).filter(({ rule }) => rule?.startsWith("pci.dma.") === true);
    expect(told.map((step) => step.rule)).toEqual([rule]);
    expect(told[0]!.title).toMatch(end === "written" ? /of memory$/ : /: refused$/);
    if (end !== "written") expect(end).toBe(`refused by ${rule}`);
  });
});

test("what the HPET sends comes from the HPET", async () => {
  const draft: Draft = { machine: { firmware: { hpet: true } }, script: [{ hpet: { times: 1 } }] };
  const [sent, routed] = ofRequest(await walkDraft(draft), 1);
  expect(sent).toMatchObject({ actor: "hpet", title: "hpet sends a message" });
  expect(routed!.detail).toContain("of requester f0:1f.0");
});
