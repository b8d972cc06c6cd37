import { describe, expect, test } from "vitest";
import { type VtdProfile, vtdStrict } from "../../hardware/vtd/profile.ts";
import { decode, encode } from "../../spec/codec.ts";
import { descriptorTypes, interruptEntryCacheInvalidate } from "../../spec/vtd/descriptors.ts";
import { extendedCapability, queueAddress, registers } from "../../spec/vtd/registers.ts";
import { errno } from "../errno.ts";
import type { Release } from "../kernel.ts";
import { enableIrX2apic } from "../remapping.ts";
import { host } from "../testbed.ts";
import { queueLength } from "./queue-state.ts";
import { qiFlushIec, qiGlobalIec, qiSubmitSync } from "./queue.ts";
import { intelRemapping } from "./remapping-state.ts";

const narrow: VtdProfile = {
  ...vtdStrict,
  name: "narrow",
  extendedCapability: encode(extendedCapability, {
    ...decode(extendedCapability, vtdStrict.extendedCapability),
    smts: 0,
  }),
};

function boot(profile = vtdStrict, release: Release = "7.0") {
  const machine = host({ profile, release });
  enableIrX2apic(machine.k);
  machine.k.log.lines.length = 0;
  const iommu = intelRemapping(machine.k).units[0]!;
  const address = decode(queueAddress, machine.vtd.read(registers.IQA.offset, 64));
  return { ...machine, iommu, queue: iommu.queue!, address };
}

const unknownType = 0xfn;

describe.each([
  ["128", narrow, 16, { dw: 0, qs: 0 }],
  ["256", vtdStrict, 32, { dw: 1, qs: 1 }],
] as const)("a queue of descriptors of %s bits", (_, profile, step, expected) => {
  test("has 256 of them, and the unit knows where", () => {
    const { queue, address } = boot(profile);
    expect(address).toEqual({ ...expected, iqa: queue.base });
    expect(queue.step).toBe(step);
  });

  test("goes round and round, and frees each slot", () => {
    const { k, iommu, queue, violations } = boot(profile);
    for (let i = 0; i < 2 * queueLength + 3; i++) expect(qiFlushIec(k, iommu, i, 0)).toBe(0);
    qiGlobalIec(k, iommu);
    expect(queue.freeCount).toBe(queueLength);
    expect(queue.freeHead).toBe(queue.freeTail);
    expect(violations).toEqual([]);
  });

  test("goes on behind a descriptor that the unit refuses", () => {
    const { k, iommu, queue } = boot(profile);
    expect(qiSubmitSync(k, iommu, unknownType)).toBe(-errno.EINVAL);
    expect(qiFlushIec(k, iommu, 5, 0)).toBe(0);
    expect(queue.freeCount).toBe(queueLength);
  });
});

describe("a descriptor that the unit refuses", () => {
  const selective = encode(interruptEntryCacheInvalidate, {
    type: descriptorTypes.interruptEntryCache,
    g: 1,
    iidx: 7,
  });

  test("is shown with the one before it", () => {
    const { k, iommu } = boot();
    qiFlushIec(k, iommu, 7, 0);
    qiSubmitSync(k, iommu, selective | (1n << 100n));
    expect(k.log.lines.map(({ text }) => text)).toEqual([
      "DMAR: VT-d detected Invalidation Queue Error: Reason 4",
      "DMAR: QI HEAD: Interrupt Entry Cache Invalidation qw0 = 0x700000014, qw1 = 0x1000000000",
      expect.stringMatching(/^DMAR: QI PRIOR: Invalidation Wait qw0 = 0x200000025, qw1 = 0x[0-9a-f]+$/),
      "DMAR: Invalidation Queue Error (IQE) cleared",
    ]);
  });

  test("was shown alone by older kernels", () => {
    const { k, iommu } = boot(vtdStrict, "5.4");
    qiSubmitSync(k, iommu, unknownType);
    expect(k.log.lines.map(({ text }) => text)).toEqual([
      "DMAR: VT-d detected invalid descriptor: qw0 = f, qw1 = 0",
    ]);
  });
});

test("an invalidation that nobody works off is not waited for in vain", () => {
  const { k, iommu } = boot();
  iommu.command({ qie: 0 });
  expect(() => qiGlobalIec(k, iommu)).toThrow("dmar0: an invalidation is neither completed nor refused");
});
