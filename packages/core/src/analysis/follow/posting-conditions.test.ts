import { describe, expect, test } from "vitest";
import type { Draft } from "../../evidence/host/draft.ts";
import type { Vcpu, VirtualMachine } from "../../evidence/host/virtual-machine.ts";
import type { TestHost } from "../host/testing/test-host.ts";
import { one, ownedByVcpu, posting } from "./testing/posting-host.ts";

/** Everything is as posting asks for, and the entry is a remapped one. */
function ready(): TestHost {
  const host = ownedByVcpu(posting({})).remapped(30, { v: 0x41, sid: 0x100, dst: 0x100 });
  const { system, machines } = host.draft;
  system.release = host.fact("6.17.1");
  system.commandLine = host.fact("quiet intel_iommu=on");
  system.flags = host.fact(new Set(["cx16"]));
  const parameters = system.parameters;
  parameters.set("kvm_intel.enable_apicv", host.fact("Y"));
  parameters.set("kvm_intel.enable_device_posted_irqs", host.fact("Y"));
  const machine = machines[0] as Draft<VirtualMachine>;
  machine.irqchip = host.fact("split");
  machine.inhibited = host.fact(0n);
  machine.irqfds = host.fact([{ gsi: 24, irq: 50, message: { address: 0xfee0_0000n, data: 0x51 } }]);
  (machine.vcpus[0] as Draft<Vcpu>).apicId = host.fact(0);
  return host;
}

function stops(host: TestHost): string[] {
  const { passthrough } = one(host);
  expect(passthrough!.posted).toBe(false);
  return passthrough!.conditions.filter(({ verdict }) => verdict === "stops it").map(({ id }) => id);
}

function message(host: TestHost, to: { address: bigint; data: number } | null): void {
  (host.draft.machines[0] as Draft<VirtualMachine>).irqfds = host.fact([{ gsi: 24, irq: 50, message: to }]);
}

describe("why a passthrough interrupt is not posted", () => {
  test("nothing that is known stops it where all conditions hold", () => {
    const { passthrough } = one(ready());
    expect(new Set(passthrough!.conditions.map(({ verdict }) => verdict))).toEqual(new Set(["held"]));
    for (const { evidence } of passthrough!.conditions) expect(evidence.length).toBeGreaterThan(0);
  });

  test.each<readonly [string, (host: TestHost) => unknown]>([
    ["remapping-off", (host) => host.draft.vtdUnit("dmar0").registers.set("GSTS", host.fact(0n))],
    ["posting-off", (host) => (host.draft.system.commandLine = host.fact("intremap=nopost"))],
    ["posting-not-capable", (host) => (host.draft.vtdUnit("dmar0").capability = host.fact(0x22n << 24n))],
    ["posting-not-capable", (host) => (host.draft.system.flags = host.fact(new Set(["sse"])))],
    [
      "apicv-off",
      (host) =>
        (host.draft.system.parameters as Map<string, unknown>).set("kvm_intel.enable_apicv", host.fact("N")),
    ],
    [
      "device-posting-off",
      (host) =>
        (host.draft.system.parameters as Map<string, unknown>).set(
          "kvm_intel.enable_device_posted_irqs",
          host.fact("N"),
        ),
    ],
    [
      "irqchip-in-userspace",
      (host) => ((host.draft.machines[0] as Draft<VirtualMachine>).irqchip = host.fact("none")),
    ],
    ["no-producer", (host) => ((host.draft.machines[0] as Draft<VirtualMachine>).irqfds = host.fact([]))],
    ["no-producer", (host) => host.irq(50, { actions: ["vfio-intx(0000:01:00.0)"] })],
    ["no-msi-route", (host) => message(host, null)],
    ["delivery-mode", (host) => message(host, { address: 0xfee0_0000n, data: 0x451 })],
    ["several-vcpus", (host) => message(host, { address: 0xfee0_7000n, data: 0x51 })],
    [
      "several-vcpus",
      (host) => {
        message(host, { address: 0xfeef_f000n, data: 0x51 });
        (host.draft.machines[0]!.vcpus as Vcpu[]).push({ id: 1, apicId: host.fact(1) });
      },
    ],
  ])("%s", (id, change) => {
    const host = ready();
    change(host);
    expect(stops(host)).toEqual([id]);
  });

  test("an inhibit does not stop VMX, and is named by the release's words", () => {
    const host = ready();
    (host.draft.machines[0] as Draft<VirtualMachine>).inhibited = host.fact(1n << 4n);
    const detail = (release: string): string => {
      host.draft.system.release = host.fact(release);
      const { conditions } = one(host).passthrough!;
      return conditions.find(({ id }) => id === "apicv-inhibited")!.detail;
    };
    expect(detail("6.17.1")).toContain("PHYSICAL_ID_ALIASED");
    expect(detail("6.1.0-56-amd64")).toContain("APIC_ID_MODIFIED");
    expect(detail("5.15.0")).toContain("bit 4");
  });

  test("what was not read is not known, and stops nothing", () => {
    const host = posting({}).remapped(30, { v: 0x41, sid: 0x100, dst: 0x100 });
    host.draft.machines.length = 0;
    const { posted, conditions } = one(host).passthrough!;
    expect(posted).toBe(false);
    expect(conditions.some(({ verdict }) => verdict === "stops it")).toBe(false);
    expect(conditions.filter(({ verdict }) => verdict === "not known").length).toBeGreaterThan(5);
  });

  test("an interrupt of the host's own drivers has no such conditions", () => {
    expect(
      one(
        ready()
          .with(({ machines }) => machines.splice(0))
          .irq(50, { actions: ["nvme0q1"] }),
      ).passthrough,
    ).toBeNull();
  });
});
