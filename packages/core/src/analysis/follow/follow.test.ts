import { describe, expect, test } from "vitest";
import { dte } from "../../spec/amdvi/dte.ts";
import { encode } from "../../spec/codec.ts";
import type { RuleId } from "../../spec/rules.ts";
import { TestHost, bridgeConfig, vtdMessage } from "../host/testing/test-host.ts";
import type { FollowedInterrupt } from "./following.ts";
import { follow } from "./follow.ts";
import { extendedCapability, host, one, unitOf } from "./testing/followed-host.ts";

function config(command: number): Uint8Array {
  const bytes = new Uint8Array(256);
  bytes[4] = command;
  return bytes;
}

/** A PCI Express capability of a port type. */
function port(config: Uint8Array, type: number): Uint8Array {
  const bytes = new Uint8Array(256);
  bytes.set(config);
  bytes[0x06] = 0x10;
  bytes[0x34] = 0x40;
  bytes.set([0x10, 0, type << 4, 0], 0x40);
  return bytes;
}

function behind(bridge: Uint8Array, entry: Parameters<TestHost["remapped"]>[1]): FollowedInterrupt {
  const test = new TestHost().cpus(4).vtd();
  unitOf(test).extendedCapability = test.fact(extendedCapability);
  test.device("00:07.0", { config: test.fact(bridge) }).device("03:02.0");
  test.remapped(5, { v: 0x40, dst: 0x100, ...entry });
  test.irq(40, { device: "03:02.0", message: vtdMessage(5) });
  return one(test, "irq 40");
}

test("an interrupt is told from the device to the handler, each step with where it was read", () => {
  const found = one(host());
  expect(found).toMatchObject({
    outcome: "delivered",
    device: "0000:00:03.0",
    vector: 1,
    irq: 27,
    unit: "dmar0",
  });
  expect(found.why).toBe("CPU 2 takes it as vector 0x24.");
  expect(found.path.map(({ step }) => step)).toEqual(found.path.map((_, i) => i + 1));
  expect([...new Set(found.path.map(({ part }) => part))]).toEqual([
    "source",
    "requester",
    "unit",
    "decision",
    "processor",
    "linux",
  ]);
  expect(found.path.filter(({ part }) => part === "decision")).toHaveLength(10);
  expect(found.decision).toMatchObject({ outcome: "remapped", rule: "vtd.ir.remap", index: 21 });
  for (const { evidence, part } of found.path) {
    if (part === "decision") expect(evidence.length).toBeGreaterThan(0);
  }
});

test.each(["irq 27", "irq27", "00:03.0", "0000:00:03.0:1", "dmar0:21"])("%s names it", (subject) => {
  expect(one(host(), subject)).toMatchObject({ irq: 27, outcome: "delivered" });
});

test.each([
  ["irq 28", "knows no such interrupt, expected one of 27"],
  ["00:04.0", "knows no such device, expected one of 0000:00:03.0"],
  ["00:03.0:3", "vector 3: Linux uses 1"],
  ["dmar1:1", "expected one of dmar0"],
  ["dmar0:00:03.0:1", "VT-d has one table for a unit"],
  ["4711/0", "knows no such VM, and none at all"],
  ["x", "expected DEVICE"],
])("%s is refused in one line that names what there is", (subject, message) => {
  expect(() => follow(host().finish(), subject)).toThrow(message);
});

const faults: readonly (readonly [string, RuleId, (test: TestHost) => TestHost])[] = [
  ["P=0", "vtd.ir.not-present", (test) => test.remapped(21, { p: 0, v: 0x24, sid: 0x18, dst: 0x200 })],
  ["no entry at all", "vtd.ir.not-present", (test) => test.entry(null, 21, 0n)],
  ["a foreign SID", "vtd.ir.sid-mismatch", (test) => test.remapped(21, { v: 0x24, sid: 0x19, dst: 0x200 })],
  ["SVT=3", "vtd.ir.entry-reserved", (test) => test.remapped(21, { v: 0x24, sid: 0x18, svt: 3, dst: 0x200 })],
  ["reserved bits", "vtd.ir.entry-reserved", (test) => test.entry(null, 21, 0x4_0018_0000_0200_0124_1001n)],
  [
    "a destination past 8 bits",
    "vtd.ir.entry-reserved",
    (test) => test.remapped(21, { v: 0x24, sid: 0x18, dst: 2 }),
  ],
  [
    "an index past the table",
    "vtd.ir.index-out-of-range",
    (test) =>
      test.with(() => {
        unitOf(test).table = test.fact({ ...unitOf(test).table!.value, length: 16 });
      }),
  ],
  [
    "compatibility format",
    "vtd.ir.compatibility-blocked",
    (test) => test.irq(27, { message: { address: 0xfee0_2000n, data: 0x24 } }),
  ],
  [
    "data that is not zero above a subhandle",
    "vtd.ir.request-reserved",
    (test) => test.irq(27, { message: { address: vtdMessage(21).address, data: 0x1_0000 } }),
  ],
  [
    "IM=1 where CAP.PI is 0",
    "vtd.ir.entry-reserved",
    (test) =>
      test.posted(21, { vv: 0x24, sid: 0x18, pda: 0x1240n }).with(() => {
        unitOf(test).capability = test.fact(0x22n << 24n);
      }),
  ],
];

test.each(faults)("%s is blocked by %s", (_, rule, change) => {
  const found = one(change(host()));
  expect(found).toMatchObject({ outcome: "blocked", rule, decision: { outcome: "blocked", rule } });
  expect(found.path.at(-1)!.verdict === "blocked here" || found.path.at(-1)!.verdict === "not reached").toBe(
    true,
  );
  expect(found.path.filter(({ verdict }) => verdict === "blocked here")).toHaveLength(1);
  expect(found.path.some(({ part }) => part === "processor")).toBe(false);
});

test("with remapping off, a remappable message reaches processors as it stands: nobody's vector", () => {
  const test = host();
  unitOf(test).registers.set("GSTS", test.fact(0n));
  expect(one(test)).toMatchObject({
    outcome: "lost",
    decision: { outcome: "passed", rule: "vtd.ir.pass-through" },
  });
});

describe("an interrupt that leaves the unit is lost", () => {
  test.each<readonly [string, RuleId, (test: TestHost) => unknown]>([
    [
      "on a processor that is offline",
      "apic.accept.disabled",
      (test) => (test.draft.processor(2).online = test.fact(false)),
    ],
    [
      "where no processor has its id",
      "apic.destination.physical",
      (test) => test.remapped(21, { v: 0x24, sid: 0x18, dst: 0x900 }),
    ],
    [
      "with a vector below 16",
      "apic.vector.illegal-received",
      (test) => test.remapped(21, { v: 5, sid: 0x18, dst: 0x200 }),
    ],
    [
      "with the placeholder's vector",
      "linux.vector.placeholder",
      (test) => test.remapped(21, { v: 0xef, sid: 0x18, dst: 0x200 }),
    ],
    [
      "with a vector that nobody has there",
      "linux.vector.unassigned",
      (test) => test.remapped(21, { v: 0x25, sid: 0x18, dst: 0x200 }),
    ],
    [
      "with another's vector",
      "linux.vector.owner",
      (test) => {
        test.remapped(21, { v: 0x30, sid: 0x18, dst: 0x100 });
        test.draft.interrupt(4).vector = test.fact({ vector: 0x30, cpu: 1 });
      },
    ],
    [
      "without a handler",
      "linux.irq.unhandled",
      (test) => (test.draft.interrupt(27).actions = test.fact([])),
    ],
  ])("%s: %s", (_, rule, change) => {
    const test = host();
    change(test);
    expect(one(test)).toMatchObject({ outcome: "lost", rule, decision: { outcome: "remapped" } });
  });
});

test("a write outside FEEx_xxxxh is no interrupt", () => {
  for (const address of [0n, 0xfed0_0000n, 0x1_fee0_02b8n]) {
    const test = host().irq(27, { message: { address, data: 0 } });
    expect(one(test)).toMatchObject({
      outcome: "lost",
      rule: "apic.message.prefix",
      decision: null,
    });
  }
});

describe("no message is sent", () => {
  test.each<readonly [string, RuleId, (test: TestHost) => unknown]>([
    [
      "without Bus Master Enable",
      "pci.msi.bus-master",
      (test) => test.device("00:03.0", { config: test.fact(config(2)) }),
    ],
    [
      "while MSI-X is off",
      "pci.msi.disabled",
      (test) =>
        test.device("00:03.0", {
          msix: test.fact({ enabled: false, masked: false, available: 4, bar: 1, offset: 0 }),
        }),
    ],
    [
      "while the function is masked",
      "pci.msi.masked",
      (test) =>
        test.device("00:03.0", {
          msix: test.fact({ enabled: true, masked: true, available: 4, bar: 1, offset: 0 }),
        }),
    ],
    ["while Linux has masked it", "pci.msi.masked", (test) => test.irq(27, { masked: true })],
  ])("%s: %s", (_, rule, change) => {
    const test = host();
    change(test);
    const found = one(test);
    expect(found).toMatchObject({ outcome: "not sent", rule, decision: null });
    expect(found.path.at(-1)!.verdict).toBe("not sent");
  });
});

describe("what is not known", () => {
  test("of a unit leaves the outcome open only where it hangs on it", () => {
    const test = host();
    const unit = unitOf(test);
    delete unit.capability;
    expect(one(test)).toMatchObject({ outcome: "delivered", missing: [] });
    delete unit.extendedMode;
    const open = one(test);
    expect(open.outcome).toBe("not known");
    expect(open.decision!.ways.map(({ when, outcome }) => [when, outcome])).toEqual(
      expect.arrayContaining([
        [expect.stringContaining("IRTA.EIME=0"), "remapped"],
        [expect.stringContaining("IRTA.EIME=1"), "remapped"],
      ]),
    );
    expect(open.missing[0]!.what).toBe("whether destinations have 32 bits of dmar0");
  });

  test("whether remapping is on parts a request that is blocked from one that passes", () => {
    const test = host().remapped(21, { p: 0, v: 0x24, sid: 0x18 });
    unitOf(test).registers.delete("GSTS");
    const { outcome, decision, path } = one(test);
    expect(outcome).toBe("not known");
    expect(new Map(decision!.ways.map((way) => [way.outcome, way.rule]))).toEqual(
      new Map([
        ["blocked", "vtd.ir.not-present"],
        ["passed", "vtd.ir.pass-through"],
      ]),
    );
    expect(path.find(({ verdict }) => verdict === "not known")).toBeDefined();
  });

  test("is the entry, where a source leaves entries out", () => {
    const test = host();
    const { entries, ...table } = unitOf(test).table!.value;
    unitOf(test).table = test.fact({ ...table, entries: new Map(), complete: false });
    expect(entries.size).toBe(1);
    const { outcome, rule, missing } = one(test);
    expect({ outcome, rule }).toEqual({ outcome: "not known", rule: "vtd.ir.table-access" });
    expect(missing[0]!.what).toContain("entry 21");
  });

  test("is the message, and then nothing is guessed of it; with the entry known it is what Linux writes", () => {
    const test = host();
    delete test.draft.interrupt(27).message;
    expect(one(test)).toMatchObject({ outcome: "not known", decision: null });
    test.irq(27, { device: "00:03.0", vector: 1, entry: 21 });
    const found = one(test);
    expect(found).toMatchObject({ outcome: "delivered" });
    expect(found.path.find(({ title }) => title === "the message")!.verdict).toBe("not checked");
  });

  test("is which vector Linux gave: the processor takes it all the same", () => {
    const test = host();
    delete test.draft.interrupt(27).vector;
    const { outcome, path } = one(test);
    expect(outcome).toBe("delivered");
    expect(path.find(({ rule }) => rule === "linux.vector.owner")!.verdict).toBe("not known");
  });
});

describe("the requester id", () => {
  test("behind a bridge from PCI Express to PCI is the bridge's secondary bus", () => {
    const bridge = port(bridgeConfig(3, 3), 7);
    expect(behind(bridge, { sid: 0x0303, svt: 2 }).outcome).toBe("delivered");
    expect(behind(bridge, { sid: 0x0300 }).outcome).toBe("delivered");
    expect(behind(bridge, { sid: 0x0310 }).rule).toBe("vtd.ir.sid-mismatch");
  });

  test("behind a root port is the function's own, behind a bridge of conventional PCI the bridge's", () => {
    expect(behind(port(bridgeConfig(3, 3), 4), { sid: 0x0310 }).outcome).toBe("delivered");
    expect(behind(bridgeConfig(3, 3), { sid: 0x0038 }).outcome).toBe("delivered");
    expect(behind(bridgeConfig(3, 3), { sid: 0x0310 }).outcome).toBe("blocked");
  });

  test("is not known where what lies above is not, and then a verified entry leaves it open", () => {
    const test = new TestHost().cpus(4).vtd().device("00:07.0").device("03:02.0");
    unitOf(test).extendedCapability = test.fact(extendedCapability);
    test
      .remapped(5, { v: 0x40, sid: 0x0310, dst: 0x100 })
      .irq(40, { device: "03:02.0", message: vtdMessage(5) });
    expect(one(test, "irq 40")).toMatchObject({ outcome: "not known", rule: "vtd.ir.sid-mismatch" });
    test.remapped(5, { v: 0x40, svt: 0, dst: 0x100 });
    expect(one(test, "irq 40").outcome).toBe("delivered");
  });
});

test("an IOAPIC's interrupt goes through its redirection entry, with the requester that DMAR names", () => {
  const scope = { type: 3, enumerationId: 8, bus: 0xf0, path: [{ device: 31, function: 0 }] };
  const test = host().dmar({ base: 0xfed9_0000n, scopes: [scope] });
  test.remapped(40000, { v: 0x31, sid: 0xf0f8, dst: 0x300 });
  test.irq(9, { from: { kind: "ioapic", id: 8, pin: 9 }, entry: 40000, actions: ["acpi"] });
  const found = one(test, "irq 9");
  expect(found).toMatchObject({ outcome: "delivered", decision: { index: 40000 } });
  // SHV=0, and the pin in the place of the vector.
  expect(found.decision!.request).toEqual({ address: 0xfee0_0000n | (7232n << 5n) | 0x14n, data: 9 });
  test.remapped(40000, { v: 0x31, sid: 0xf0f9, dst: 0x300 });
  expect(one(test, "irq 9").rule).toBe("vtd.ir.sid-mismatch");
});

test("a device's interrupts are followed together", () => {
  const test = host()
    .remapped(22, { p: 0 })
    .irq(28, { device: "00:03.0", vector: 2, message: vtdMessage(22) });
  const found = follow(test.finish(), "00:03.0");
  expect(found.kind === "device" && found.interrupts.map(({ vector, outcome }) => [vector, outcome])).toEqual(
    [
      [1, "delivered"],
      [2, "blocked"],
    ],
  );
});

test("every interrupt of AMD-Vi goes through its device's table", () => {
  const test = new TestHost().cpus(4).amdvi().device("00:03.0");
  test.remapped128(0x18, 2, { vector: 0x25, dest: 3 });
  test.irq(40, { device: "00:03.0", message: { address: 0xfee0_0000n, data: 2 }, actions: ["nic"] });
  const found = one(test, "irq 40");
  expect(found).toMatchObject({ outcome: "delivered", decision: { rule: "amdvi.ir.remap", index: 2 } });
  expect(found.why).toBe("CPU 3 takes it as vector 0x25.");
  const broken: readonly (readonly [RuleId, (next: TestHost) => unknown])[] = [
    ["amdvi.ir.not-enabled", (next) => next.remapped128(0x18, 2, { remapen: 0, vector: 0x25 })],
    ["amdvi.irte.int-type", (next) => next.remapped128(0x18, 2, { inttype: 2, vector: 0x25 })],
    ["amdvi.irte.reserved", (next) => next.entry(0x18, 2, (1n << 80n) | (0x25n << 64n) | 0x301n)],
  ];
  for (const [rule, change] of broken) {
    change(test);
    expect(one(test, "irq 40")).toMatchObject({ outcome: "blocked", rule });
  }
});

test.each<readonly [string, number, Parameters<typeof encode<keyof typeof dte.fields>>[1], RuleId]>([
  ["IV=0", 2, { iv: 0 }, "amdvi.ir.map-invalid"],
  ["IntCtl=01b", 2, { iv: 1, intctl: 1 }, "amdvi.ir.intctl-pass"],
  ["an SMI, IntCtl=01b", 0x202, { iv: 1, intctl: 1 }, "amdvi.ir.smi-passes"],
  ["an NMI with NMIPass=1, IntCtl=01b", 0x402, { iv: 1, intctl: 1, nmipass: 1 }, "amdvi.ir.type-passes"],
])("an interrupt of AMD-Vi passes by the first rule that lets it: %s", (_, data, fields, rule) => {
  const test = new TestHost().cpus(4).amdvi().device("00:03.0");
  test.remapped128(0x18, 2, { vector: 0x25, dest: 3 });
  test.with((draft) => {
    const entry = encode(dte, { v: 1, tv: 1, inttablen: 9, inttableptr: 0x20_0000n, ...fields });
    (draft.amdviUnit("ivhd0").devices!.value as Map<number, bigint>).set(0x18, entry);
  });
  test.irq(40, { device: "00:03.0", message: { address: 0xfee0_0000n, data }, actions: ["nic"] });
  const { decision } = one(test, "irq 40");
  expect(decision).toMatchObject({ outcome: "passed", rule });
  expect(decision!.steps.find(({ verdict }) => verdict === "passed here")).toMatchObject({ rule });
});
