import { describe, expect, test } from "vitest";
import type { TestHost } from "../../host/testing/test-host.ts";
import { audit } from "../audit.ts";
import { deviceOf, flat, foundIn, give, msiAt, soundAmd, soundIntel } from "../testing/sound-host.ts";

type Change = (host: TestHost) => unknown;

const card = { sid: 0x0100, v: 0x31, dm: 1, dst: flat(1) };

const intel: readonly (readonly [string, Change, string])[] = [
  ["P is cleared", (host) => host.remapped(8, { ...card, p: 0 }), "vtd.ir.not-present: irq 40"],
  ["the entry is zero", (host) => host.entry(null, 8, 0n), "vtd.ir.not-present: irq 40"],
  [
    "the index lies past the table",
    (host) => host.irq(40, { device: "01:00.0", entry: 70_000 }).entry(null, 8, 0n),
    "vtd.ir.index-out-of-range: irq 40",
  ],
  [
    "another function's id stands in it",
    (host) => host.remapped(8, { ...card, sid: 0x0200 }),
    "vtd.ir.sid-mismatch: entry 8 of dmar0",
  ],
  [
    "it admits only other buses",
    (host) => host.remapped(8, { ...card, svt: 2, sid: 0x0203 }),
    "vtd.ir.sid-mismatch: entry 8 of dmar0",
  ],
  [
    "the start of its bus range lies behind its end",
    (host) => host.remapped(8, { ...card, svt: 2, sid: 0x0300 }),
    "vtd.ir.sid-mismatch: entry 8 of dmar0",
  ],
  [
    "it checks no source",
    (host) => host.remapped(8, { ...card, svt: 0 }),
    "vtd.check.svt-none: entry 8 of dmar0",
  ],
  ["SVT is reserved", (host) => host.remapped(8, { ...card, svt: 3 }), "vtd.irte.svt: entry 8 of dmar0"],
  [
    "only its lower half was written",
    (host) => host.remapped(8, { ...card, sid: 0, svt: 0 }),
    "audit.entry.torn: entry 8 of dmar0",
  ],
  [
    "its delivery mode is reserved",
    (host) => host.remapped(8, { ...card, dlm: 3 }),
    "vtd.irte.delivery-mode: entry 8 of dmar0",
  ],
  [
    "its vector is illegal",
    (host) => host.remapped(8, { ...card, v: 15 }).with((draft) => give(host, draft, 40, 15, 1)),
    "apic.vector.illegal-received: entry 8 of dmar0",
  ],
  [
    "its vector is not the one that the kernel gave",
    (host) => host.remapped(8, { ...card, v: 0x41 }),
    "audit.entry.as-allocated: entry 8 of dmar0",
  ],
  [
    "it goes to another processor",
    (host) => host.remapped(8, { ...card, dst: flat(0) }),
    "audit.entry.as-allocated: entry 8 of dmar0",
  ],
  [
    "it goes to a processor that there is not",
    (host) => host.remapped(8, { ...card, dst: flat(6) }),
    "audit.entry.destination: entry 8 of dmar0",
  ],
  [
    "it goes to a processor that is offline",
    (host) => host.with((draft) => (draft.processor(1).online = host.fact(false))),
    "audit.entry.destination: entry 8 of dmar0",
  ],
  [
    "it has the placeholder's vector",
    (host) => host.remapped(8, { ...card, v: 0xef }),
    "linux.vector.placeholder: irq 40",
  ],
  [
    "two interrupts go through it",
    (host) => host.entry(null, 9, 0n).irq(41, { device: "01:00.0", vector: 1, entry: 8 }),
    "audit.entry.shared: entry 8 of dmar0",
  ],
  [
    "nothing goes through it",
    (host) => host.remapped(77, { ...card }),
    "audit.entry.stale: entry 77 of dmar0",
  ],
  [
    "the kernel has not given it away",
    (host) => host.remapped(77, { ...card }).with((draft) => allocate(draft, [8, 9, 20])),
    "audit.entry.stale: entry 77 of dmar0",
  ],
  [
    "it is for a device that is gone",
    (host) => host.remapped(77, { ...card, sid: 0x0900 }),
    "audit.entry.absent-source: entry 77 of dmar0",
  ],
  [
    "the table is nearly full",
    (host) =>
      host.with((draft) =>
        allocate(
          draft,
          Array.from({ length: 59_000 }, (_, i) => i),
        ),
      ),
    "audit.table.exhaustion: the table of dmar0",
  ],
  [
    "a processor has few vectors left",
    (host) =>
      host.with(
        (draft) =>
          (draft.processor(2).vectors = host.fact({
            available: 12,
            allocated: 188,
            managed: 0,
            managedAllocated: 0,
          })),
      ),
    "linux.vector.exhaustion: CPU 2",
  ],
];

function allocate(draft: Parameters<Parameters<TestHost["with"]>[0]>[0], indices: readonly number[]): void {
  const unit = draft.vtdUnit("dmar0");
  unit.table = { ...unit.table!, value: { ...unit.table!.value, allocated: new Set(indices) } };
}

describe("an entry of VT-d", () => {
  test("of a sound host gives no finding", () => {
    expect(foundIn(soundIntel().finish())).toEqual([]);
  });

  test.each(intel)("is found by one rule when %s", (_what, change, finding) => {
    const host = soundIntel();
    change(host);
    expect(foundIn(host.finish())).toEqual([finding]);
  });

  test.each([
    ["a bridge takes the request over under its own id", { svt: 1, sid: 0x00e8 }],
    ["a bridge sends it on as the first of its bus", { svt: 1, sid: 0x0100 }],
    ["the bus range holds its bus", { svt: 2, sid: 0x0101 }],
  ])("may admit what a bridge makes of the function's id: %s", (_what, source) => {
    const host = soundIntel();
    const config = new Uint8Array(64);
    config[0x0e] = 1;
    config.set([0, 1, 1], 0x18);
    host.device("00:1d.0", { config: host.fact(config) });
    host.device("01:05.0", {}).remapped(30, { ...card, ...source });
    host
      .irq(50, { device: "01:05.0", entry: 30, actions: ["x"] })
      .with((draft) => give(host, draft, 50, 0x31, 1));
    expect(foundIn(host.finish())).toEqual([]);
  });

  test.each([
    [
      "nobody has requested the interrupt",
      (host: TestHost) => host.irq(40, { device: "01:00.0", entry: 8, actions: [] }),
    ],
    [
      "the interrupt is shut down",
      (host: TestHost) => host.with((draft) => (draft.interrupt(40).started = host.fact(false))),
    ],
  ])("may have the placeholder's vector while %s", (_what, change) => {
    const host = soundIntel().remapped(8, { ...card, v: 0xef });
    change(host);
    expect(foundIn(host.finish())).toEqual([]);
  });

  test("that is not present is nothing while its interrupt is not requested", () => {
    const host = soundIntel().entry(null, 8, 0n).irq(40, { device: "01:00.0", entry: 8, actions: [] });
    expect(foundIn(host.finish())).toEqual([]);
  });

  test("is not called sound where its table is not known", () => {
    const host = soundIntel().with((draft) => delete draft.vtdUnit("dmar0").table);
    const { findings, checked, notChecked } = audit(host.finish());
    expect(findings).toEqual([]);
    const rules = ["vtd.check.svt-none", "vtd.ir.not-present", "vtd.ir.sid-mismatch", "audit.entry.stale"];
    for (const rule of rules) {
      expect(checked.map((one) => one.rule)).not.toContain(rule);
      expect(notChecked).toContainEqual(
        expect.objectContaining({
          rule,
          partly: false,
          missing: expect.arrayContaining(["the remapping table of dmar0"]) as string[],
        }),
      );
    }
  });

  test("is checked in part where it is not known which interrupts use which", () => {
    const host = soundIntel().irq(43, { chip: "IR-PCI-MSIX-0000:07:00.0" });
    const { notChecked } = audit(host.finish());
    expect(notChecked).toContainEqual({
      rule: "vtd.ir.sid-mismatch",
      missing: ["which entries 1 of 4 remapped interrupts go through"],
      partly: true,
    });
  });

  test("with all its mistakes is still one list of bounded length", () => {
    const host = soundIntel();
    for (let index = 100; index < 5000; index++) host.remapped(index, { ...card, svt: 0 });
    const { findings, omitted } = audit(host.finish());
    expect(findings.filter(({ rule }) => rule === "vtd.check.svt-none")).toHaveLength(200);
    expect(omitted).toBeGreaterThan(4000);
  });
});

const vector = { vector: 0x31, dm: 1, dest: 2 };

const amd: readonly (readonly [string, Change, string])[] = [
  [
    "RemapEn is cleared",
    (host) => host.remapped128(0x0100, 0, { ...vector, remapen: 0 }),
    "amdvi.ir.not-enabled: irq 40",
  ],
  [
    "the index lies past the table",
    (host) => host.irq(40, { device: "01:00.0", entry: 600 }).entry(0x0100, 0, 0n),
    "amdvi.ir.index-out-of-range: irq 40",
  ],
  [
    "its type is reserved",
    (host) => host.remapped128(0x0100, 0, { ...vector, inttype: 4 }),
    "amdvi.irte.int-type: entry 0 of 01:00.0 at ivhd0",
  ],
  [
    "its vector is illegal",
    (host) =>
      host.remapped128(0x0100, 0, { ...vector, vector: 3 }).with((draft) => give(host, draft, 40, 3, 1)),
    "apic.vector.illegal-received: entry 0 of 01:00.0 at ivhd0",
  ],
  [
    "its vector is not the one that the kernel gave",
    (host) => host.remapped128(0x0100, 0, { ...vector, vector: 0x51 }),
    "audit.entry.as-allocated: entry 0 of 01:00.0 at ivhd0",
  ],
  [
    "it goes to a processor that there is not",
    (host) => host.remapped128(0x0100, 0, { ...vector, dest: 0x40 }),
    "audit.entry.destination: entry 0 of 01:00.0 at ivhd0",
  ],
  [
    "two interrupts go through it",
    (host) => host.entry(0x0100, 1, 0n).irq(41, { device: "01:00.0", vector: 1, entry: 0 }),
    "audit.entry.shared: entry 0 of 01:00.0 at ivhd0",
  ],
  [
    "nothing goes through it",
    (host) => host.remapped128(0x0100, 9, vector),
    "audit.entry.stale: entry 9 of 01:00.0 at ivhd0",
  ],
];

describe("an entry of AMD-Vi", () => {
  test("of a sound host gives no finding", () => {
    expect(foundIn(soundAmd().finish())).toEqual([]);
  });

  test.each(amd)("is found by one rule when %s", (_what, change, finding) => {
    const host = soundAmd();
    change(host);
    expect(foundIn(host.finish())).toEqual([finding]);
  });
});

/** What is found when bits of the card's device table entry are others. */
function withDeviceBits(low: bigint, mask: bigint, to: bigint): string[] {
  const host = soundAmd();
  host.with((draft) => {
    const devices = draft.amdviUnit("ivhd0").devices!.value as Map<number, bigint>;
    devices.set(0x0100, (devices.get(0x0100)! & ~(mask << low)) | (to << low));
  });
  return foundIn(host.finish());
}

describe("a device table entry", () => {
  test.each([
    ["IV is 0", 128n, 1n, 0n, "amdvi.ir.map-invalid"],
    ["IntTabLen is 13", 129n, 15n, 13n, "amdvi.dte.inttablen"],
    ["IntCtl is 00b", 188n, 3n, 0n, "amdvi.ir.intctl-abort"],
    ["IntCtl is 01b", 188n, 3n, 1n, "amdvi.ir.intctl-pass"],
    ["IntCtl is 11b", 188n, 3n, 3n, "amdvi.dte.intctl-reserved"],
    ["INITPass is 1", 184n, 1n, 1n, "amdvi.ir.type-passes"],
  ] as const)("is found by one rule when %s", (_what, low, mask, to, rule) => {
    expect(withDeviceBits(low, mask, to)).toEqual([`${rule}: 0000:01:00.0`]);
  });

  test("is found where two functions that are no aliases use one table", () => {
    const host = soundAmd().device("03:00.0", {});
    host.with((draft) => {
      const devices = draft.amdviUnit("ivhd0").devices!.value as Map<number, bigint>;
      devices.set(0x0300, devices.get(0x0100)!);
    });
    expect(foundIn(host.finish())).toEqual(["audit.dte.table-shared: the table at 0x400000 of ivhd0"]);
  });

  test("is not found for aliases behind one bridge", () => {
    const host = soundAmd().device("01:01.0", {});
    const config = new Uint8Array(64);
    config[0x0e] = 1;
    config.set([0, 1, 1], 0x18);
    host.device("00:1d.0", { config: host.fact(config) });
    host.with((draft) => {
      const devices = draft.amdviUnit("ivhd0").devices!.value as Map<number, bigint>;
      devices.set(0x0108, devices.get(0x0100)!);
    });
    expect(foundIn(host.finish())).toEqual([]);
  });
});

describe("a function's own message", () => {
  const compatible = { address: 0xfee0_1000n, data: 0x4031 };

  test.each([
    [
      "is in compatibility format",
      (host: TestHost) => ({ msi: host.fact({ enabled: true, used: 1, available: 1, message: compatible }) }),
      "vtd.ir.compatibility-blocked: 0000:05:00.0",
    ],
    [
      "carries data that it should not",
      (host: TestHost) => msiAt(host, 8, { data: 1 }),
      "linux.ir.single-msi-data: 0000:05:00.0",
    ],
    ["names an entry that is zero", (host: TestHost) => msiAt(host, 60), "vtd.ir.not-present: 0000:05:00.0"],
    ["names another's entry", (host: TestHost) => msiAt(host, 8), "audit.entry.shared: entry 8 of dmar0"],
  ])("is found by one rule when it %s", (_what, facts, finding) => {
    const host = soundIntel();
    host.device("05:00.0", facts(host));
    expect(foundIn(host.finish())).toEqual([finding]);
  });

  test("is found where a block of entries is not aligned", () => {
    const host = soundIntel();
    host.device("05:00.0", msiAt(host, 33, { used: 2 }));
    for (const index of [33, 34]) host.remapped(index, { ...card, sid: 0x0500 });
    expect(foundIn(host.finish())).toEqual(["linux.ir.multi-msi-alignment: 0000:05:00.0"]);
  });

  test("is found where it is not the one that the kernel wrote", () => {
    const host = soundIntel();
    host.remapped(21, { sid: 0x0200, v: 0x33, dm: 1, dst: flat(3) }).with((draft) => {
      deviceOf(draft, "02:00.0").messageIrqs = host.fact([{ irq: 42, kind: "msi" as const }]);
      draft.interrupt(42).message = host.fact({ address: 0xfee0_0010n + (21n << 5n) + 8n, data: 0 });
      draft.interrupt(42).entry = host.fact({ unit: "dmar0", requester: null, index: 21 });
    });
    expect(foundIn(host.finish())).toEqual(["audit.message.as-written: 0000:02:00.0"]);
  });

  test("in a chip outside the hierarchy is found", () => {
    const host = soundIntel().irq(50, { chip: "IO-APIC", actions: ["timer"], hwirq: 2n });
    expect(foundIn(host.finish())).toEqual(["linux.ir.in-hierarchy: irq 50"]);
  });

  test("is the unit's own, and outside the hierarchy by right", () => {
    const host = soundIntel().irq(24, { chip: "DMAR-MSI", actions: ["dmar0"], hwirq: 0n });
    expect(foundIn(host.finish())).toEqual([]);
  });
});
