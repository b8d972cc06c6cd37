import { describe, expect, test } from "vitest";
import { booted, image, nic, runDraft } from "./testbed.ts";

const enabled = [{ enable: { device: "nic" } }];
const inGuest = [{ start: "guest" }, ...enabled];

function each(device: string): unknown[] {
  return [{ enable: { device } }, { interrupt: { device, times: 4 } }];
}

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
    const rams = [...machine.vms.values()].map(({ vmm }) => vmm.ram);
    for (const [i, ram] of rams.entries()) ram.write(0x1000, Uint8Array.of(100 + i));
    expect(rams.map((ram) => ram.read(0x1000, 1)[0])).toEqual([100, 101, 102]);
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
