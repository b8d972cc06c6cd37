import { describe, expect, test } from "vitest";
import type { Vcpu } from "../../evidence/host/virtual-machine.ts";
import { control } from "../../spec/amdvi/registers.ts";
import { encode } from "../../spec/codec.ts";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import { TestHost, vtdMessage } from "../host/testing/test-host.ts";
import { follow } from "./follow.ts";
import { capability, descriptor, one, ownedByVcpu, posting, rootConfig } from "./testing/posting-host.ts";

const fact = new TestHost().fact.bind(new TestHost());
type Fields = Parameters<typeof posting>[0];

describe("an interrupt that is posted", () => {
  test.each<readonly [string, Fields, Partial<Vcpu>, string, string]>([
    [
      "to a vCPU that is in its guest is taken without an exit",
      {},
      { mode: fact("inside"), cpu: fact(2) },
      "vmx.posted.harvest",
      "CPU 2 takes PIR[0x51] without leaving the guest. (vCPU 0 of VM 4711)",
    ],
    [
      "to a vCPU outside its guest is taken along",
      {},
      { mode: fact("outside"), cpu: fact(2) },
      "vmx.pid.software-harvest",
      "PIR[0x51] is set, and KVM takes it along when it enters the guest. (vCPU 0 of VM 4711)",
    ],
    [
      "to a preempted vCPU waits until it is loaded",
      { sn: 1 },
      { mode: fact("outside") },
      "vtd.post.suppressed",
      "PIR[0x51] is set, and found when the vCPU is loaded again: it was preempted. (vCPU 0 of VM 4711)",
    ],
    [
      "behind another is taken with it",
      { on: 1 },
      { mode: fact("inside"), cpu: fact(2) },
      "vtd.post.coalesced",
      "PIR[0x51] is set, and taken with what was posted before it. (vCPU 0 of VM 4711)",
    ],
    [
      "to a vCPU that sleeps wakes it",
      { nv: 0xf1 },
      { mode: fact("outside"), waitsOn: fact(2) },
      "vmx.posted.exit",
      "PIR[0x51] is set, and CPU 2 wakes the vCPU. (vCPU 0 of VM 4711)",
    ],
    [
      "to a vCPU that waits on another list wakes nobody",
      { nv: 0xf1 },
      { mode: fact("outside"), waitsOn: fact(1) },
      "vmx.posted.exit",
      "PIR[0x51] is set, and nobody wakes the vCPU: the notification comes to CPU 2, and the vCPU is on the wakeup list of CPU 1. (vCPU 0 of VM 4711)",
    ],
    [
      "to a vCPU that has moved on is found at its next exit",
      {},
      { mode: fact("inside"), cpu: fact(3) },
      "vmx.posted.exit",
      "PIR[0x51] is set, and found when the vCPU next leaves its guest: it comes to CPU 2, and the vCPU runs on CPU 3. (vCPU 0 of VM 4711)",
    ],
    [
      "with a notification to an id that nobody has is not noticed",
      { ndst: 0x900 },
      { mode: fact("inside"), cpu: fact(2) },
      "apic.destination.physical",
      "PIR[0x51] is set, and the notification is lost: no processor has that id. (vCPU 0 of VM 4711)",
    ],
  ])("%s", (_, fields, vcpu, rule, why) => {
    const host = posting(fields, vcpu);
    // The machine's descriptor, by its owner.
    const found = one(ownedByVcpu(host));
    expect(found).toMatchObject({ outcome: "posted", rule: "vtd.post.atomic", why });
    expect(found.path.map((step) => step.rule)).toContain(rule);
    expect(found.passthrough).toEqual({ posted: true, conditions: [] });
  });

  test("into a descriptor with reserved bits is blocked", () => {
    const host = ownedByVcpu(posting({}));
    const fields = encode(postedDescriptor, { nv: 0xf2, ndst: 0x200 }) | (1n << 258n);
    host.draft.descriptor(descriptor, host.fact({ kind: "cpu", cpu: 0 })).value = host.fact(fields);
    expect(one(host)).toMatchObject({ outcome: "blocked", rule: "vtd.post.descriptor-reserved" });
  });

  test("into a descriptor that was not read is posted, and no more is known", () => {
    const host = ownedByVcpu(posting({}));
    delete host.draft.descriptor(descriptor, host.fact({ kind: "cpu", cpu: 0 })).value;
    const found = one(host);
    expect(found.outcome).toBe("posted");
    expect(found.missing[0]!.what).toBe("the posted-interrupt descriptor at 0x1240");
    expect(found.path.at(-1)!.verdict).toBe("not known");
  });

  test("to the host's own descriptor is dispatched by its processor", () => {
    const host = new TestHost()
      .cpus(4)
      .vtd()
      .device("01:00.0", { config: fact(rootConfig()) });
    const unit = host.draft.vtdUnit("dmar0");
    unit.capability = host.fact(capability);
    unit.extendedCapability = host.fact(0xf0_0f5an);
    host.draft.descriptor(0x2000n, host.fact({ kind: "cpu", cpu: 1 })).value = host.fact(
      encode(postedDescriptor, { nv: 0xeb, ndst: 0x100 }),
    );
    host.posted(7, { vv: 0x41, sid: 0x100, pda: 0x2000n });
    host.irq(51, { device: "01:00.0", message: vtdMessage(7), actions: ["nvme0q0"] });
    const found = one(host, "irq 51");
    expect(found).toMatchObject({ outcome: "posted", passthrough: null });
    expect(found.why).toBe("CPU 1 takes it as vector 0x41 out of PIR. (CPU 1 of the host)");
  });
});

describe("a vCPU", () => {
  test("is followed with who posts to it, what stands in PIR, and what would become of a post", () => {
    const host = ownedByVcpu(posting({ pir: 1n << 0x33n, sn: 1 }, { mode: fact("outside"), cpu: fact(2) }));
    const found = follow(host.finish(), "4711/0");
    expect(found).toMatchObject({
      kind: "vcpu",
      address: descriptor,
      pending: [0x33],
      posters: [{ unit: "dmar0", requester: null, index: 30, vector: 0x51, irqs: [50] }],
      outcome: "posted",
    });
    expect(found.kind === "vcpu" && found.why).toContain("loaded again");
  });

  test("to which nobody posts is asked what a post would do", () => {
    const host = ownedByVcpu(posting({}, { mode: fact("inside"), cpu: fact(2) })).remapped(30, {
      v: 1,
      sid: 0x100,
    });
    const found = follow(host.finish(), "4711/0");
    expect(found).toMatchObject({ kind: "vcpu", posters: [], outcome: "posted" });
    expect(found.kind === "vcpu" && found.why).toContain("CPU 2 takes PIR[0x20]");
  });

  test("without a known descriptor is not known", () => {
    const host = new TestHost().cpus(1).vtd();
    host.draft.machines.push({ name: "9", vcpus: [{ id: 0 }] });
    expect(follow(host.finish(), "9/0")).toMatchObject({ outcome: "not known", posters: [] });
    expect(() => follow(host.finish(), "9/1")).toThrow("no vCPU 1, expected one of 0");
  });
});

describe("an interrupt through a guest-mode entry of AMD-Vi", () => {
  const page = 0x55_5000n;
  function guest(entry: Parameters<TestHost["guest"]>[2], vcpu: Partial<Vcpu>): TestHost {
    const host = new TestHost()
      .cpus(4)
      .amdvi()
      .device("01:00.0", { config: fact(rootConfig()) });
    const unit = host.draft.amdviUnit("ivhd0");
    unit.control = host.fact(encode(control, { iommuen: 1, gaen: 1, gamen: 1, galogen: 1 }));
    host.guest(0x100, 3, { vector: 0x61, root: page, dest: 2, gatag: 0x10000, ...entry });
    host.machine("4711", [page]);
    Object.assign(host.draft.machines[0]!.vcpus[0]!, vcpu);
    return host.irq(50, {
      device: "01:00.0",
      message: { address: 0xfee0_0000n, data: 3 },
      actions: ["vfio-msi[0](0000:01:00.0)"],
    });
  }

  test.each<readonly [string, Parameters<TestHost["guest"]>[2], Partial<Vcpu>, string]>([
    [
      "rings the doorbell of a vCPU that runs",
      { isrun: 1 },
      { mode: fact("inside"), cpu: fact(2) },
      "CPU 2 takes IRR[0x61] without leaving the guest.",
    ],
    [
      "rings in vain where the vCPU is outside",
      { isrun: 1 },
      { mode: fact("outside"), cpu: fact(2) },
      "taken at the next entry",
    ],
    ["is logged for a vCPU that sleeps", { galogintr: 1 }, {}, "KVM wakes the vCPU by the log."],
    ["waits in IRR else", {}, {}, "found when the vCPU runs again"],
  ])("%s", (_, entry, vcpu, why) => {
    const found = one(guest(entry, vcpu));
    expect(found).toMatchObject({ outcome: "posted", rule: "amdvi.ga.post", passthrough: { posted: true } });
    expect(found.why).toContain(why);
    expect(found.why).toContain("vCPU 0 of VM 4711");
  });

  test("is blocked where guest mode is off, and open where that is not known", () => {
    const host = guest({ isrun: 1 }, {});
    const unit = host.draft.amdviUnit("ivhd0");
    unit.control = host.fact(encode(control, { iommuen: 1, gaen: 1 }));
    expect(one(host)).toMatchObject({ outcome: "blocked", rule: "amdvi.irte.guest-mode" });
    delete unit.control;
    unit.extendedMode = host.fact(false);
    const open = one(host);
    expect(open.outcome).toBe("not known");
    expect(open.decision!.ways.map(({ when }) => when).sort()).toEqual([
      "Control.GAMEn=0",
      "Control.GAMEn=1",
    ]);
  });
});
