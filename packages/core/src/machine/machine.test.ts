import { describe, expect, test } from "vitest";
import { eventfdSignal } from "../linux/eventfd.ts";
import { intelRemapping } from "../linux/intel-ir/remapping-state.ts";
import { entriesOf, presentEntries } from "./entries.ts";
import { leaksOf } from "./leaks.ts";
import { type Draft, booted, guest, image, nic, runDraft } from "./testbed.ts";

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

describe("virtual machines", () => {
  const two = {
    nic: { at: "01:00.0", msix: 2 },
    ssd: { at: "02:00.0", msix: 2 },
    gpu: { at: "03:00.0", msix: 2 },
  };
  const several = {
    one: { vcpus: [0, 3], devices: ["nic"] },
    two: { vcpus: [1], devices: ["ssd"], apicv: false },
    three: { vcpus: [2], devices: ["gpu"], disk: { image: "disk.img" } },
  };

  test.each(["intel", "amd"])(
    "run side by side, each with its own interrupts and its own memory (%s)",
    async (vendor) => {
      const names = ["one", "two", "three"];
      const each = (device: string): unknown[] => [
        { enable: { device } },
        { interrupt: { device, times: 4 } },
      ];
      const result = await runDraft({
        machine: { vendor, cmdline: "" },
        devices: two,
        vms: several,
        script: [
          ...names.map((start) => ({ start })),
          ...each("nic"),
          ...each("ssd"),
          ...each("gpu"),
          { "disk-read": { vm: "three", sector: 2, count: 4 } },
          { stop: "one" },
          { stop: "two" },
          { start: "two" },
          ...each("ssd"),
          { interrupt: { device: "gpu", times: 3 } },
          { "disk-read": { vm: "three", sector: 0, count: 8 } },
        ],
        // Of the one without APIC virtualization interrupts go through the host, and wait there for no one.
        expect: { delivered: 8 + 8 + 8 + 8 + 6 + 2, lost: 0, posted: 2, remapped: 2, dataEqual: true },
      });
      expect(result.findings).toEqual([]);
    },
  );

  test("start in memory of their own, in whatever order they come and go", async () => {
    const { machine, act } = booted({ devices: two, vms: several });
    await act({ start: "one" }, { start: "two" }, { stop: "one" }, { start: "three" }, { start: "one" });
    const bases = [...machine.vms.values()].map(({ vmm }) => vmm.ram);
    machine.vm("two").guest.pages.allocate(4096);
    for (const [i, ram] of bases.entries()) ram.write32(0x1000, 100 + i);
    expect(bases.map((ram) => ram.read32(0x1000))).toEqual([100, 101, 102]);
  });

  test("come up again after they were stopped, with vCPUs that slept and waited", async () => {
    const round = [
      ...inGuest,
      { interrupt: { device: "nic" } },
      { preempt: "guest/1" },
      { halt: "guest/0" },
      { stop: "guest" },
    ];
    const result = await runDraft({
      devices: nic,
      vms: { guest: { vcpus: [3, 1], devices: ["nic"] } },
      script: [...round, ...round, ...round],
      expect: { delivered: 12, lost: 0 },
    });
    expect(result.findings).toEqual([]);
  });

  test.each([0, 1, 2, 3])("have a vCPU on CPU %d, posted to wherever it moves", async (cpu) => {
    const moves = [0, 1, 2, 3].flatMap((to) => [
      { migrate: { vcpu: "guest/0", to } },
      { interrupt: { device: "nic", times: 2 } },
    ]);
    const result = await runDraft({
      devices: nic,
      vms: { guest: { vcpus: [cpu], devices: ["nic"] } },
      script: [...inGuest, ...moves],
      expect: { delivered: 32, lost: 0, hostInterrupts: 0, notifications: 32, posted: 4 },
    });
    expect(result.findings).toEqual([]);
  });

  test("never share a CPU: the second is refused, and one that wakes finds another", async () => {
    const vms = { guest: { vcpus: [1], devices: ["nic"] }, other: { vcpus: [1], devices: ["ssd"] } };
    const shared = { devices: two, vms, machine: { cpus: 2 } };
    const both = await runDraft({ ...shared, script: [{ start: "guest" }, { start: "other" }] });
    expect(both.findings).toEqual(["start: CPU 1 has a vCPU already"]);
    const moved = [{ start: "guest" }, { migrate: { vcpu: "guest/0", to: 0 } }, { start: "other" }];
    const back = await runDraft({ ...shared, script: [...moved, { migrate: { vcpu: "guest/0", to: 1 } }] });
    expect(back.findings).toEqual(["migrate: CPU 1 has a vCPU already"]);
    const woken = await runDraft({
      ...shared,
      script: [
        ...inGuest,
        { halt: "guest/0" },
        { start: "other" },
        { interrupt: { device: "nic", vector: 0 } },
        { interrupt: { device: "nic", vector: 1 } },
      ],
      expect: { delivered: 2, lost: 0, wakeups: 1 },
    });
    expect(woken.findings).toEqual([]);
  });

  test("whose interrupts moved between vCPUs free the old vectors without being asked", async () => {
    const { machine, act } = booted({
      devices: nic,
      vms: { guest: { vcpus: [1, 2], devices: ["nic"] } },
    });
    await act({ start: "guest" }, { enable: { device: "nic", cpus: [0] } }, { interrupt: { device: "nic" } });
    const { cleanup, matrix } = machine.vm("guest").guest.irqs.vectors!;
    expect(cleanup.map(({ size }) => size)).toEqual([0, 0]);
    expect(matrix.allocated).toBe(4);
  });

  test("read from their disk what is in the image, and write to it", async () => {
    const result = await runDraft({
      vms: { guest: { vcpus: [1], disk: { image: "disk.img" } } },
      script: [
        { start: "guest" },
        { "disk-write": { vm: "guest", sector: 3, text: "hello" } },
        { "disk-read": { vm: "guest", sector: 3 } },
        { "disk-read": { vm: "guest", sector: image.length / 512 } },
      ],
      expect: { delivered: 3, lost: 0, dataEqual: false },
    });
    expect(result.findings).toEqual([]);
    expect(result.episodes[3]!.details[0]).toContain('"hello');
  });
});

describe("a program with VFIO", () => {
  const enable = { "vfio-enable": { device: "nic", vectors: 2 } };

  test("hears its interrupts through eventfds, again after it has closed the device", async () => {
    const round = [enable, { interrupt: { device: "nic", times: 3 } }, { "vfio-close": "nic" }];
    const result = await runDraft({
      devices: nic,
      script: [...round, ...round],
      expect: { delivered: 12, lost: 0, hostInterrupts: 12, remapped: 0 },
    });
    expect(result.findings).toEqual([]);
  });

  test("gives a device back that was pulled out", async () => {
    const result = await runDraft({
      devices: nic,
      script: [enable, { unplug: "nic" }],
      expect: { remapped: 0 },
    });
    expect(result.findings).toEqual([]);
  });

  test("does not count a signal twice that nobody raised", async () => {
    const { machine, act } = booted({ devices: nic });
    await act(enable);
    const { kernel: k } = machine;
    const [vector] = [...k.vfioDevices.values()][0]!.vectors.values();
    eventfdSignal(k, vector!.trigger);
    machine.settle();
    expect(machine.totals()).toMatchObject({ raised: 0, delivered: 1, hostInterrupts: 0 });
  });
});

describe("entries in memory", () => {
  test.each<[string, Draft, boolean]>([
    ["remapped", { machine: { cmdline: "intremap=nopost" } }, false],
    ["posted", {}, true],
    ["remapped on AMD", { machine: { vendor: "amd", cmdline: "amd_iommu_intr=legacy" } }, false],
    ["posted on AMD", { machine: { vendor: "amd", cmdline: "" } }, true],
  ])("are those that the driver keeps: %s", async (_, draft, posted) => {
    const { machine, act } = booted({ devices: nic, vms: guest, ...draft });
    await act(...inGuest);
    const { hardware, devices, baseline } = machine;
    const entries = entriesOf(hardware, devices.get("nic")!);
    expect(entries).toHaveLength(4);
    for (const entry of entries) expect(entry).toMatchObject({ present: true, posted });
    const added = presentEntries(hardware).filter(({ address }) => !baseline!.present.has(address));
    expect(added).toEqual(entries.map(({ address }) => ({ address, requester: "01:00.0" })));
    if (posted) expect(new Set(entries.map(({ target }) => target)).size).toBe(1);
    await act({ stop: "guest" });
    expect(entriesOf(hardware, devices.get("nic")!)).toEqual([]);
  });

  test("of several MSI vectors stand in a block, at which the message points", async () => {
    const { machine, act } = booted({ devices: { nic: { at: "01:00.0", msi: 8 } } });
    await act(...enabled);
    const { base } = intelRemapping(machine.kernel).units[0]!.table!;
    const at = entriesOf(machine.hardware, machine.device("nic")).map(({ address }) => (address - base) / 16);
    expect(at).toEqual(Array.from({ length: 8 }, (_, i) => at[0]! + i));
    expect(at[0]! % 8).toBe(0);
  });
});

describe("a kernel that cannot have more vectors", () => {
  const devices = { nic: { at: "01:00.0", msix: 300 }, ssd: { at: "02:00.0", msix: 2 } };
  const one = { cpus: 1 };

  test("refuses what is requested beyond, and gets all of it back", async () => {
    const result = await runDraft({ machine: one, devices, script: enabled });
    expect(result.findings).toEqual(["enable: 0000:01:00.0: request_irq: -ENOSPC"]);
    expect(result.leaks).toEqual([]);
  });

  test("takes back what was allocated to a driver that could request nothing", async () => {
    const { machine, act } = booted({ machine: one, devices });
    await expect(act(...enabled)).rejects.toThrow("-ENOSPC");
    await expect(act({ enable: { device: "ssd" } })).rejects.toThrow("request_irq: -ENOSPC");
    machine.takeApart();
    expect(leaksOf(machine)).toEqual([]);
  });
});

describe("an attack", () => {
  const hostile = { ...nic, hostile: { at: "02:00.0", msix: 1 } };
  const script = [...enabled, { enable: { device: "hostile" } }, { attack: { device: "hostile" } }];

  test("gets its own interrupts through, and no other", async () => {
    const result = await runDraft({
      devices: hostile,
      script,
      expect: { hijacked: 0, blocked: { atLeast: 65_000 } },
    });
    expect(result.findings).toEqual([]);
    const said = result.episodes.at(-1)!.details.join(" ");
    expect(said).toMatch(/[\d,]+ attempts: [\d,]+ blocked, 1 of its own, 0 past its entries/);
  });

  test("leaves no trace: what comes later is delivered as before", async () => {
    const after = [
      ...script,
      { interrupt: { device: "nic", times: 2 } },
      { interrupt: { device: "hostile" } },
    ];
    const machine = { cmdline: "intel_iommu=on intremap=off" };
    const expected = { hijacked: { atLeast: 1000 }, blocked: 0, delivered: 9, lost: 0 };
    const { findings, episodes } = await runDraft({
      machine,
      devices: hostile,
      script: after,
      expect: expected,
    });
    expect(findings).toEqual([]);
    expect(episodes.find(({ what }) => what.includes("tries"))!.details.join()).toMatch(
      /it reached 4 CPUs, with 2\d\d vectors/,
    );
  });
});

describe("after a crash", () => {
  test("a VM is gone with the kernel that ran it, and its device sends to nobody", async () => {
    const { machine, act } = booted({ devices: nic, vms: guest });
    await act(...inGuest, { interrupt: { device: "nic" } }, "crash");
    expect(machine.vms.size).toBe(0);
    await act({ interrupt: { device: "nic" } });
    expect(machine.totals()).toMatchObject({ raised: 8, delivered: 4, lost: 4 });
    await act({ start: "guest" }, { enable: { device: "nic" } }, { interrupt: { device: "nic" } });
    expect(machine.totals().delivered).toBe(8);
    machine.takeApart();
    expect(leaksOf(machine)).toEqual([]);
  });

  test("a device that was pulled out before does not come back", async () => {
    const { act } = booted({ devices: nic });
    await act({ unplug: "nic" }, "crash");
    await expect(act(...enabled)).rejects.toThrow("nic is gone");
  });
});

test("the log is the host's kernels', line by line, each told once", async () => {
  const { log, episodes } = await runDraft({
    devices: nic,
    vms: guest,
    script: [...inGuest, "crash"],
    expect: { lost: 0 },
  });
  const copied = log.filter((line) => line.includes("Copied IR table"));
  expect(copied).toEqual(["DMAR-IR: Copied IR table for dmar0 from previous kernel"]);
  expect(log.filter((line) => line === "DMAR-IR: Enabled IRQ remapping in x2apic mode")).toHaveLength(2);
  expect(episodes.flatMap(({ details }) => details).filter((line) => line.startsWith("guest: "))).toEqual([]);
});
