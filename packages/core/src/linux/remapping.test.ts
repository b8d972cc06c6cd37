import { describe, expect, test } from "vitest";
import { bootKernel } from "./boot.ts";
import type { Firmware } from "./firmware.ts";
import { type HostOptions, host } from "./testbed.ts";

/** How a host comes up: who remaps, the mode of its APICs, and what was printed about that. */
function booted(options: HostOptions) {
  const { k } = host(options);
  bootKernel(k);
  const lines = k.log.lines.map(({ text }) => text);
  return {
    vendor: k.remapping?.enabled === true ? k.remapping.vendor : null,
    x2apic: k.x2apic,
    lines,
  };
}

describe("remapping comes up", () => {
  test.each<[string, HostOptions, "intel" | "amd" | null]>([
    ["with VT-d", { vendor: "intel" }, "intel"],
    ["with AMD-Vi", { vendor: "amd" }, "amd"],
    ["never without a unit", { vendor: "none" }, null],
    ["not with intremap=off", { commandLine: "intremap=off" }, null],
    ["not with nointremap", { commandLine: "nointremap" }, null],
    ["not with noapic", { commandLine: "noapic" }, null],
    ["with VT-d even with intel_iommu=off", { commandLine: "intel_iommu=off" }, "intel"],
    ["not with amd_iommu=off", { vendor: "amd", commandLine: "amd_iommu=off" }, null],
  ])("%s", (_, options, vendor) => {
    expect(booted(options).vendor).toBe(vendor);
  });

  test("not where the setup of I/O APICs is skipped, which is said", () => {
    expect(booted({ commandLine: "noapic" }).lines).toEqual([
      "Not enabling interrupt remapping due to skipped IO-APIC setup",
    ]);
  });
});

describe("x2APIC mode", () => {
  const refused = "x2apic: IRQ remapping doesn't support X2APIC mode";

  test.each<[string, HostOptions, Partial<Firmware>, boolean, string | null]>([
    ["is on with remapping in that mode", {}, {}, true, "x2apic enabled"],
    [
      "is taken over from firmware",
      {},
      { x2apicPreset: true },
      true,
      "x2apic: enabled by BIOS, switching to x2apic ops",
    ],
    ["is not there on CPUs without it", {}, { x2apic: false }, false, null],
    ["is off with nox2apic", { commandLine: "nox2apic" }, {}, false, null],
    ["is refused on bare metal without remapping", { commandLine: "intremap=off" }, {}, false, refused],
    [
      "is on under a hypervisor without remapping",
      { commandLine: "intremap=off" },
      { hypervisor: true },
      true,
      "x2apic enabled",
    ],
  ])("%s", (_, options, firmware, on, line) => {
    const { x2apic, lines } = booted({ ...options, firmware });
    expect(x2apic).toBe(on);
    expect(lines.filter((text) => text.startsWith("x2apic"))).toEqual(line === null ? [] : [line]);
  });
});
