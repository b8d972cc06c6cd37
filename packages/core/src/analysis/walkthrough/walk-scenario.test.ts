import { beforeAll, describe, expect, test } from "vitest";
import { guest, nic, runDraft } from "../../machine/testbed.ts";
import type { Draft } from "../../machine/testbed.ts";
import { dteBytes } from "../../spec/amdvi/dte.ts";
import { deviceTableBase } from "../../spec/amdvi/registers.ts";
import { decode } from "../../spec/codec.ts";
import { msixTableEntry } from "../../spec/pci/msix.ts";
import { irtePosted, postedDescriptor } from "../../spec/vtd/irte.ts";
import { faultRecord } from "../../spec/vtd/registers.ts";
import type { WalkStep } from "./step.ts";
import { ofRequest, walkDraft } from "./testbed.ts";
import type { Walkthrough } from "./walkthrough.ts";

const host: Draft = {
  devices: nic,
  script: [{ enable: { device: "nic", vectors: 2 } }, { interrupt: { device: "nic", times: 2 } }],
};
const posted: Draft = {
  devices: nic,
  vms: guest,
  script: [
    { start: "guest" },
    { enable: { device: "nic", vectors: 1 } },
    { interrupt: { device: "nic", times: 2 } },
  ],
};
const avic: Draft = { ...posted, machine: { vendor: "amd", cmdline: "amd_iommu_intr=vapic" } };

const stopsOf = (steps: readonly WalkStep[]): string[] => steps.map(({ stop }) => stop);

describe("a walk through a run", () => {
  test.each([
    ["of the host's interrupts", host],
    ["of posted interrupts", posted],
    ["of AVIC", avic],
  ])("%s leads to what the run leads to when nobody looks", async (_, draft) => {
    expect((await walkDraft(draft)).result).toEqual(await runDraft(draft));
  });

  test("counts the requests as devices send them, each beginning at its device", async () => {
    const { steps } = await walkDraft(host);
    const sent = steps.filter(({ stop, request }) => stop === "device" && request !== null);
    expect(sent.map(({ request, actor }) => [request, actor])).toEqual([1, 2, 3, 4].map((n) => [n, "nic"]));
  });

  test("tells time and episodes in their order", async () => {
    const { steps, result } = await walkDraft(posted);
    for (const [before, after] of steps.slice(1).map((step, i) => [steps[i]!, step] as const)) {
      expect(after.at).toBeGreaterThanOrEqual(before.at);
      expect(after.episode).toBeGreaterThanOrEqual(before.episode);
    }
    expect(new Set(steps.map(({ episode }) => episode))).toEqual(new Set(result.episodes.keys()));
    const first = steps.find(({ request }) => request === 1);
    expect(result.episodes[first!.episode]!.at).toBeLessThanOrEqual(first!.at);
  });
});

describe("an interrupt that the host takes", () => {
  let walk: Walkthrough;
  let steps: WalkStep[];
  beforeAll(async () => {
    walk = await walkDraft(host);
    steps = ofRequest(walk, 1);
  });

  test("goes by the device, the bus, the ten steps of the unit, the APIC and the handler", () => {
    expect(stopsOf(steps).slice(0, 14)).toEqual([
      "device",
      "bus",
      ...Array<string>(5).fill("unit"),
      ...Array<string>(5).fill("entry"),
      "apic",
      "apic",
    ]);
    expect(steps.slice(2, 12).map(({ verdict }) => verdict)).toEqual([
      ...Array<string>(9).fill("held"),
      "delivered",
    ]);
    expect(steps[11]!.rule).toBe("vtd.ir.remap");
    expect(steps.slice(14).every(({ stop }) => stop === "software")).toBe(true);
    expect(steps.at(-1)!.stack).toContain("asm_common_interrupt");
  });

  test("is sent as the kernel wrote it into the device's table", () => {
    const sent = steps[0]!.touched.find(({ layout }) => layout === msixTableEntry.name)!;
    const writes = walk.steps.filter(({ stop, request }) => stop === "device" && request === null);
    const written = writes.flatMap(({ touched }) => touched).filter(({ what }) => what === sent.what);
    const { address, data } = decode(msixTableEntry, written.at(-1)!.value);
    expect(decode(msixTableEntry, sent.value)).toMatchObject({ address, data });
    expect(writes[0]!.stack[0]).toBe("__pci_write_msi_msg");
  });

  test("obeys the entry that modify_irte wrote before", () => {
    const used = steps[11]!.touched.find(({ layout }) => layout === "irte-remapped")!;
    const writes = walk.steps.flatMap((step) =>
      step.touched
        .filter(({ what, before }) => what === used.what && before !== null)
        .map((to) => ({ step, to })),
    );
    expect(writes[0]!.to.before).toBe(0n);
    expect(writes[0]!.step.stack[0]).toBe("modify_irte");
    expect(writes[0]!.to.fields).toContain("p");
    const before = writes.filter(({ step }) => step.at <= steps[11]!.at && step.episode < steps[11]!.episode);
    expect(before.at(-1)!.to.value).toBe(used.value);
  });
});

describe("an interrupt that is posted", () => {
  test("leaves the descriptor as it was, once the processor has taken it over", async () => {
    const steps = ofRequest(await walkDraft(posted), 1);
    const [into, outOf] = steps.flatMap(({ touched }) =>
      touched.filter(({ layout, before }) => layout === postedDescriptor.name && before !== null),
    );
    const { vv } = decode(irtePosted, steps[11]!.touched[0]!.value);
    expect(decode(postedDescriptor, into!.value)).toMatchObject({ on: 1, pir: 2 ** Number(vv) });
    expect(into!.fields).toEqual(["pir", "on"]);
    expect(outOf).toMatchObject({ before: into!.value, value: into!.before });
    expect(stopsOf(steps).slice(-5)).toEqual(["descriptor", "apic", "apic", "vcpu", "vcpu"]);
    expect(steps.at(-1)).toMatchObject({ actor: "guest/0", rule: "vmx.deliver", stack: [], thread: null });
  });

  test("stands in a vCPU's backing page on an AMD machine, whose doorbell rings", async () => {
    const steps = ofRequest(await walkDraft(avic), 1);
    expect(steps.map(({ rule }) => rule).slice(-4)).toEqual([
      "amdvi.ga.post",
      "amdvi.ga.post",
      "amdvi.ga.doorbell",
      "avic.evaluate",
    ]);
    expect(steps.at(-1)!.actor).toBe("guest/0");
  });
});

test("an IPI between vCPUs is posted by the sender's processor, and taken without an exit", async () => {
  const draft: Draft = {
    devices: nic,
    vms: { guest: { vcpus: [1, 2], devices: ["nic"] } },
    script: [{ start: "guest" }, { ipi: { vcpu: "guest/0", to: 1 } }],
  };
  const { steps } = await walkDraft(draft);
  const last = steps.filter(({ episode }) => episode === 2);
  expect(last.map(({ rule }) => rule)).toEqual([
    "vmx.ipi.virtualization",
    "apic.accept.fixed",
    "apic.acknowledge",
    "vmx.posted.harvest",
    "vmx.deliver",
  ]);
  expect(last.map(({ stack }) => stack.length)).toEqual([0, 0, 0, 0, 0]);
});

describe("what software does", () => {
  test("is told with the call stack of that moment: QEMU's too where a VMM asked for it", async () => {
    const { steps } = await walkDraft(posted);
    const points = steps.find(
      ({ stack, touched }) => stack[0] === "modify_irte" && touched[0]?.layout === "irte-posted",
    );
    expect(points!.thread).toBe("guest: CPU 0/KVM");
    expect(points!.stack.slice(0, 4)).toEqual([
      "modify_irte",
      "intel_ir_set_vcpu_affinity",
      "irq_set_vcpu_affinity",
      "vmx_pi_update_irte",
    ]);
    expect(points!.stack).toContain("vfio_msix_vector_do_use");
    expect(points!.touched[0]!.fields).toEqual(expect.arrayContaining(["im", "pda"]));
  });

  test("ends with the script: taking the machine apart is not told", async () => {
    const { steps } = await walkDraft(host);
    expect(steps.some(({ thread, stack }) => thread !== null && stack.length === 0)).toBe(false);
  });
});

test("a request that is refused shows the fault record that the unit wrote", async () => {
  const draft: Draft = {
    devices: { nic: { at: "01:00.0", msix: 4 } },
    script: [{ write: { device: "nic", address: 0xfee0_1000, data: 0x31 } }],
  };
  const steps = ofRequest(await walkDraft(draft), 1);
  const at = steps.findIndex(({ rule }) => rule === "vtd.fault.record");
  const record = steps[at]!;
  expect(steps[at - 1]).toMatchObject({ verdict: "blocked here", rule: "vtd.ir.compatibility-blocked" });
  expect(stopsOf(steps).slice(at, at + 3)).toEqual(["unit", "unit", "apic"]);
  expect(steps.at(-1)!.stack).toContain("dmar_fault");
  expect(decode(faultRecord, record.touched[0]!.value)).toMatchObject({ f: 1, fr: 0x25, sid: 0x0100 });
});

test("a walk keeps no more steps than it may, of each episode the first", async () => {
  const draft: Draft = {
    ...host,
    script: [...host.script!, { interrupt: { device: "nic", times: 100 } }, { interrupt: { device: "nic" } }],
  };
  const whole = await walkDraft(draft, { limit: 100_000 });
  expect(whole.leftOut).toBe(0);
  const part = await walkDraft(draft, { limit: 200 });
  expect(part.steps.length).toBeLessThanOrEqual(200);
  expect(part.leftOut).toBeGreaterThan(1000);
  expect(part.result).toEqual(whole.result);
  for (const episode of whole.result.episodes.keys()) {
    const kept = part.steps.filter((step) => step.episode === episode);
    const all = whole.steps.filter((step) => step.episode === episode);
    expect(kept.length).toBeGreaterThan(0);
    expect(kept).toEqual(all.slice(0, kept.length));
  }
}, 30_000);

test("a message that QEMU's AMD-Vi zeroes as it passes ends where it passes, at no entry", async () => {
  const draft: Draft = {
    machine: { vendor: "amd", cmdline: "", profile: "amdvi-qemu" },
    devices: { ...nic, bad: { at: "02:00.0", msix: 1, confined: false } },
    script: [{ enable: { device: "nic", vectors: 1 } }],
  };
  const { steps } = await walkDraft(draft);
  const table = steps.flatMap(({ touched }) => touched).find(({ layout }) => layout === deviceTableBase.name);
  const { base } = decode(deviceTableBase, table!.value);
  // IntCtl=01b in the fourth quarter of the entry of 01:00.0.
  const address = Number(base) + 0x0100 * dteBytes + 20;
  const script = [{ write: { device: "bad", address, data: 0x1000_0000 } }, { interrupt: { device: "nic" } }];
  const changed = await walkDraft({ ...draft, script: [...draft.script!, ...script] });
  const told = ofRequest(changed, 1).filter(({ verdict }) => verdict !== null);
  expect(told.map(({ verdict }) => verdict)).toEqual(["held", "held", "held", "held", "passed here"]);
  expect(told.at(-1)).toMatchObject({ rule: "qemu.amdvi.pass-zeroed", detail: "DTE.IntCtl=1" });
});
