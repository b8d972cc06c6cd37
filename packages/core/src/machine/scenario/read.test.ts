import { describe, expect, test } from "vitest";
import { readScenario } from "./read.ts";

/** The smallest scenario that has everything, with some of its places set to something else. */
function tree(changes: Readonly<Record<string, unknown>> = {}): unknown {
  const draft = {
    title: "A title",
    kernel: "7.0",
    parameters: { vectors: { default: 4, from: 1, to: 64, about: "MSI-X vectors" } },
    machine: { vendor: "intel", cpus: 4 },
    devices: { nic: { at: "01:00.0", msix: "$vectors" }, sound: { at: "05:01.0", msi: 1, alias: "04:00.0" } },
    vms: { guest: { vcpus: [1], devices: ["nic"] } },
    script: [{ start: "guest" }, { enable: { device: "nic" } }, { interrupt: { device: "nic", times: 3 } }],
    expect: { delivered: "$vectors * 3" },
    variants: { remapped: { machine: { cmdline: "intremap=nopost" }, expect: { lost: 0 } } },
  };
  for (const [place, value] of Object.entries(changes)) {
    const keys = place.split(".");
    const last = keys.pop()!;
    let node = draft as Record<string, unknown>;
    for (const key of keys) node = node[key] as Record<string, unknown>;
    node[last] = value;
  }
  return draft;
}

test("numbers stand where parameters are named", () => {
  const scenario = readScenario("s", tree(), { values: { vectors: 7 } });
  expect(scenario.devices[0]).toMatchObject({ name: "nic", at: 0x0100, msix: 7 });
  expect(scenario.expect.delivered).toBe(21);
  expect(scenario.script[1]).toEqual({ do: "enable", device: "nic", kind: "msix", vectors: 7 });
  expect(readScenario("s", tree()).expect.delivered).toBe(12);
});

test("a variant changes what it names, and expects its own", () => {
  const variant = readScenario("s", tree(), { variant: "remapped" });
  expect(variant.machine).toMatchObject({ vendor: "intel", cpus: 4, cmdline: "intremap=nopost" });
  expect(variant.expect).toEqual({ lost: 0 });
  expect(variant.name).toBe("s: remapped");
});

test("what is not told has its usual value", () => {
  const { machine, devices, vms } = readScenario("s", tree());
  expect(machine).toEqual({
    vendor: "intel",
    profile: "vtd-strict",
    cpus: 4,
    x2apic: true,
    cmdline: "",
    firmware: { unit: true, remapping: true, x2apicOptOut: false, ioapicScope: true, hpet: false },
  });
  expect(devices[1]).toEqual({ name: "sound", at: 0x0508, msix: 0, msi: 1, alias: 0x0400, confined: true });
  expect(vms[0]).toEqual({ name: "guest", vcpus: [1], devices: ["nic"], apicv: true, tableMapped: false });
});

describe("a scenario is refused, with its place and what was expected, for", () => {
  test.each<[string, Readonly<Record<string, unknown>>, string, string]>([
    ["an unknown key", { "machine.cpuz": 1 }, "machine.cpuz", "unknown key, expected vendor"],
    ["an unknown key at the top", { vm: {} }, "vm", "unknown key, expected title"],
    ["0 CPUs", { "machine.cpus": 0 }, "machine.cpus", "0, expected a whole number from 1 to 255"],
    ["a kernel that it does not follow", { kernel: 7 }, "kernel", `7, expected "5.4" or "6.12" or "7.0"`],
    [
      "a vector that the device has not",
      { "script.2.interrupt.vector": 300 },
      "script[2].interrupt.vector",
      "300, expected one of 0 to 3",
    ],
    [
      "a VM without a device",
      { "vms.guest.devices": [] },
      "vms.guest",
      "has no device, expected devices or a disk",
    ],
    [
      "a VM with an unknown device",
      { "vms.guest.devices": ["nick"] },
      "vms.guest.devices[0]",
      `there is no device "nick", expected nic, sound`,
    ],
    [
      "a device in two VMs",
      { "vms.other": { devices: ["nic"] } },
      "vms.other.devices[0]",
      `"nic" is guest's already`,
    ],
    [
      "a vCPU on a CPU that is not there",
      { "vms.guest.vcpus": [4] },
      "vms.guest.vcpus[0]",
      "CPU 4, expected one of 0 to 3",
    ],
    [
      "a VM without a vCPU",
      { "vms.guest.vcpus": [] },
      "vms.guest.vcpus",
      "has no CPU, expected at least one",
    ],
    ["a device without interrupts", { "devices.nic": { at: "01:00.0" } }, "devices.nic", "has no interrupts"],
    [
      "a malformed address",
      { "devices.nic.at": "1:0.0" },
      "devices.nic.at",
      `expected bus:device.function as in "01:00.0"`,
    ],
    [
      "a name with capitals",
      { "devices.NIC": { at: "01:00.0", msix: 1 } },
      'devices, key "NIC"',
      "expected a name of lower-case letters",
    ],
    [
      "an unknown action",
      { "script.3": { explode: {} } },
      "script[3].explode",
      "unknown action, expected one of start, stop",
    ],
    ["an action that is nothing", { "script.3": {} }, "script[3]", "nothing, expected one of start, stop"],
    [
      "two actions in one",
      { "script.3": { start: "guest", stop: "guest" } },
      "script[3].stop",
      "unknown key beside the action",
    ],
    [
      "an unknown parameter",
      { "expect.delivered": "$packets" },
      "expect.delivered",
      "there is no parameter $packets, expected $vectors",
    ],
    [
      "a VM that is not there",
      { "script.3": { stop: "host" } },
      "script[3].stop",
      `there is no VM "host", expected guest`,
    ],
    [
      "a vCPU that is not there",
      { "script.3": { preempt: "guest/1" } },
      "script[3].preempt",
      "no vCPU 1, expected 0 to 0",
    ],
    [
      "a vCPU without a number",
      { "script.3": { halt: "guest" } },
      "script[3].halt",
      `expected VM/number as in "guest/0"`,
    ],
    [
      "more vectors than the device has",
      { "script.1.enable.vectors": 5 },
      "script[1].enable.vectors",
      "expected at most the 4",
    ],
    [
      "no CPU to move to",
      { "script.3": { affinity: { device: "nic", vector: 0, cpus: [] } } },
      "script[3].affinity.cpus",
      "is empty, expected at least one CPU",
    ],
    [
      "a HPET that is not there",
      { "script.3": { hpet: {} } },
      "script[3].hpet",
      "expected machine.firmware.hpet: true",
    ],
    [
      "a disk that is not there",
      { "script.3": { "disk-read": { vm: "guest", sector: 0 } } },
      "script[3].disk-read.vm",
      "has no disk",
    ],
    ["a script that is none", { script: 7 }, "script", "7, expected a list"],
    ["no title", { title: undefined }, "title", "expected a text"],
  ])("%s", (_, changes, place, complaint) => {
    expect(() => readScenario("s", tree(changes))).toThrow(
      expect.objectContaining({ name: "ShapeError", place, complaint: expect.stringContaining(complaint) }),
    );
  });

  test.each([
    [{ values: { vectors: 65 } }, "parameters.vectors", "65, expected a whole number from 1 to 64"],
    [{ values: { packets: 1 } }, "parameters", 'there is no "packets", expected vectors'],
    [{ variant: "other" }, "variants", 'there is no "other", expected remapped'],
  ])("the choice %o", (choice, place, complaint) => {
    expect(() => readScenario("s", tree(), choice)).toThrow(
      expect.objectContaining({ place, complaint: expect.stringContaining(complaint) }),
    );
  });

  test("a variant's mistake, where it stands", () => {
    const broken = tree({ "variants.remapped.machine.cpus": 0 });
    expect(() => readScenario("s", broken, { variant: "remapped" })).toThrow(
      expect.objectContaining({ place: "variants.remapped.machine.cpus" }),
    );
  });
});
