import { describe, expect, test } from "vitest";
import { type Draft, guest, nic, runDraft } from "./testbed.ts";

const enabled = [{ enable: { device: "nic" } }];
const inGuest = [{ start: "guest" }, ...enabled];

describe("an action that is refused ends the script, is a finding, and leaves nothing behind:", () => {
  const disk = { guest: { vcpus: [1], disk: { image: "disk.img" } } };
  test.each<[string, Draft, string]>([
    [
      "a VM that runs already",
      { script: [{ start: "guest" }, { start: "guest" }] },
      "start: guest runs already",
    ],
    ["a VM that does not run", { script: [{ stop: "guest" }] }, "stop: guest does not run"],
    [
      "a disk of a VM that is off",
      { vms: disk, script: [{ "disk-read": { vm: "guest", sector: 0 } }] },
      "disk-read: guest does not run",
    ],
    [
      "a device that is the host's",
      { script: [...enabled, { start: "guest" }] },
      "start: VFIO: 0000:01:00.0: -EBUSY",
    ],
    [
      "a device whose interrupts are not isolated",
      { machine: { cmdline: "intremap=off" }, script: [{ start: "guest" }] },
      "start: VFIO: 0000:01:00.0: -EPERM",
    ],
    [
      "a device that is gone",
      { script: [{ unplug: "nic" }, { start: "guest" }] },
      "start: VFIO: 0000:01:00.0: -ENODEV",
    ],
    ["a driver of a device that is gone", { script: [{ unplug: "nic" }, ...enabled] }, "enable: nic is gone"],
    [
      "vectors that are enabled",
      { script: [...enabled, ...enabled] },
      "enable: 0000:01:00.0: pci_alloc_irq_vectors: -EINVAL",
    ],
    [
      "vectors of a guest that are enabled",
      { script: [...inGuest, ...enabled] },
      "enable: 0000:00:03.0: pci_alloc_irq_vectors: -EINVAL",
    ],
    ["what nobody has enabled", { script: [{ disable: "nic" }] }, "disable: nobody has enabled nic"],
    ["a program that is not there", { script: [{ "vfio-close": "nic" }] }, "vfio-close: no program has nic"],
    [
      "a program's device",
      { script: [...inGuest, { "vfio-enable": { device: "nic" } }] },
      "vfio-enable: VFIO: 0000:01:00.0: -EBUSY",
    ],
    [
      "a vector that is not enabled",
      {
        script: [
          { enable: { device: "nic", vectors: 2 } },
          { affinity: { device: "nic", vector: 3, cpus: [0] } },
        ],
      },
      "affinity: 0000:01:00.0: vector 3 is not enabled: -EINVAL",
    ],
    [
      "a vCPU that has its CPU",
      { script: [...inGuest, { "resume-vcpu": "guest/0" }] },
      "resume-vcpu: guest/0 has its CPU",
    ],
    [
      "a vCPU that has none",
      { script: [...inGuest, { preempt: "guest/0" }, { preempt: "guest/0" }] },
      "preempt: guest/0 has no CPU to lose",
    ],
    [
      "a vCPU that sleeps",
      { script: [...inGuest, { halt: "guest/0" }, { halt: "guest/0" }] },
      "halt: guest/0 does not run",
    ],
    ["a second crash", { script: ["crash", "crash"] }, "crash: kdump's kernel has no other to crash into"],
    [
      "a descriptor of an entry that is not posted",
      {
        script: [
          ...enabled,
          { write: { device: "nic", address: { of: "descriptor", device: "nic" }, data: 1 } },
        ],
      },
      "write: vector 0 of nic is not posted",
    ],
    [
      "an entry that is not there",
      { script: [{ write: { device: "nic", address: { of: "irte", device: "nic" }, data: 1 } }] },
      "write: vector 0 of nic has no entry",
    ],
    [
      "a table of a device in no guest",
      { script: [...enabled, { "guest-writes-table": { device: "nic", vector: 0, address: 0, data: 0 } }] },
      "guest-writes-table: nic is in no guest",
    ],
  ])("%s", async (_, draft, complaint) => {
    const script = [...draft.script!, { interrupt: { device: "nic", times: 5 } }];
    const result = await runDraft({ devices: nic, vms: guest, ...draft, script });
    expect(result.findings).toEqual([complaint]);
    expect(result.episodes).toHaveLength(1 + draft.script!.length);
    expect(result.raised).toBe(0);
  });
});
