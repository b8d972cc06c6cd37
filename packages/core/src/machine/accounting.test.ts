import * as fc from "fast-check";
import { expect, test } from "vitest";
import { InterruptSource } from "./interrupt-source.ts";
import { leaksOf } from "./leaks.ts";
import type { Machine } from "./machine.ts";
import { ActionError } from "./action-error.ts";
import { booted } from "./testbed.ts";
import { difference } from "./totals.ts";

test("every interrupt of a source is delivered, merged, refused or lost", () => {
  const step = fc.constantFrom("raise", "refused", "handle");
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const source = new InterruptSource("nic", 0);
      let waiting = 0;
      for (const one of steps) {
        if (one === "handle") {
          if (waiting === 0) continue;
          source.handle();
          waiting = 0;
          continue;
        }
        source.raise();
        if (one === "refused") source.refuse();
        else waiting++;
      }
      const { raised, delivered, coalesced, blocked, lost } = source;
      expect(lost).toBe(waiting);
      expect(delivered + coalesced + blocked + lost).toBe(raised);
    }),
  );
});

const devices = {
  nic: { at: "01:00.0", msix: 3 },
  ssd: { at: "02:00.0", msix: 2 },
  disk: { at: "03:00.0", msi: 4 },
};
function vmsWith(apicv: boolean): object {
  return { guest: { vcpus: [1, 2], devices: ["nic"], apicv }, other: { vcpus: [3], devices: ["ssd"] } };
}

const device = fc.constantFrom("nic", "ssd", "disk");
const vcpu = fc.constantFrom("guest/0", "guest/1", "other/0");
const vm = fc.constantFrom("guest", "other");
const few = fc.integer({ min: 1, max: 3 });

const action = fc.oneof(
  { weight: 2, arbitrary: vm.map((one) => ({ start: one })) },
  vm.map((one) => ({ stop: one })),
  { weight: 4, arbitrary: device.map((one) => ({ enable: { device: one } })) },
  device.map((one) => ({ disable: one })),
  device.map((one) => ({ "vfio-enable": { device: one } })),
  device.map((one) => ({ "vfio-close": one })),
  {
    weight: 6,
    arbitrary: fc.record({ device, times: few, burst: few }).map((interrupt) => ({ interrupt })),
  },
  fc
    .record({ device, cpus: fc.integer({ min: 0, max: 3 }).map((cpu) => [cpu]) })
    .map((given) => ({ affinity: { ...given, vector: 0 } })),
  fc.record({ vcpu, to: fc.integer({ min: 0, max: 4 }) }).map((migrate) => ({ migrate })),
  vcpu.map((one) => ({ preempt: one })),
  vcpu.map((one) => ({ "resume-vcpu": one })),
  { weight: 2, arbitrary: vcpu.map((one) => ({ halt: one })) },
  device.map((one) => ({ unplug: one })),
  fc.constant("suspend"),
);

/** What totals of a machine must always agree on, without anybody who writes messages by hand. */
function balanced(machine: Machine): void {
  const { raised, delivered, coalesced, lost } = machine.totals();
  const own = [...machine.devices.values()].flatMap(({ sources }) => sources);
  const refused = own.reduce((sum, { blocked }) => sum + blocked, 0);
  expect(delivered + coalesced + lost + refused).toBe(raised);
  expect(Math.min(...Object.values(machine.totals()))).toBeGreaterThanOrEqual(0);
}

const amd = { vendor: "amd", cmdline: "" };

test.each<[string, string, object, boolean?]>([
  ["posting", "7.0", {}],
  ["remapping alone", "7.0", { cmdline: "intel_iommu=on intremap=nopost" }],
  ["posted MSIs", "7.0", { cmdline: "intel_iommu=on intremap=posted_msi" }],
  ["one guest without APIC virtualization", "7.0", {}, false],
  ["a unit that does not snoop", "6.12", { profile: "vtd-non-coherent" }],
  ["posting of old", "5.4", {}],
  ["AMD", "7.0", amd],
  ["AMD of old", "5.4", amd],
])(
  "whatever happens with %s on Linux %s, all is accounted for and given back",
  async (_, kernel, settings, apicv = true) => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 16 }), async (actions) => {
        const { machine, act } = booted({
          kernel,
          machine: { cpus: 5, ...settings },
          devices,
          vms: vmsWith(apicv),
        });
        for (const one of actions) {
          try {
            await act(one);
          } catch (error) {
            if (!(error instanceof ActionError)) throw error;
          }
          balanced(machine);
        }
        machine.takeApart();
        expect(leaksOf(machine)).toEqual([]);
        expect(machine.kernel.log.lines.filter(({ level }) => level === "err")).toEqual([]);
      }),
      { numRuns: 16 },
    );
  },
);

test("a difference of totals is taken of each of them", async () => {
  const { machine, act } = booted({ devices: { nic: devices.nic } });
  await act({ enable: { device: "nic" } }, { interrupt: { device: "nic" } });
  const before = machine.totals();
  await act({ interrupt: { device: "nic", vector: 1, times: 4 } });
  expect(difference(machine.totals(), before)).toMatchObject({
    raised: 4,
    delivered: 4,
    hostInterrupts: 4,
    lost: 0,
  });
  expect(Object.values(difference(before, before)).every((value) => value === 0)).toBe(true);
});
