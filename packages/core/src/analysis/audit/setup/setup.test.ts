import { describe, expect, test } from "vitest";
import type { HostDraft } from "../../../evidence/host/draft.ts";
import { readLog } from "../../../evidence/dmesg.ts";
import type { TestHost } from "../../host/testing/test-host.ts";
import { audit } from "../audit.ts";
import { deviceOf, foundIn, soundAmd, soundIntel } from "../testing/sound-host.ts";

function withLog(host: TestHost, ...lines: string[]): TestHost {
  return host.with((draft) => (draft.log = host.fact([...readLog(lines.join("\n"))])));
}

function booted(host: TestHost, commandLine: string, release = "6.12.5"): TestHost {
  return host.with((draft) => {
    draft.system.commandLine = host.fact(commandLine);
    draft.system.release = host.fact(release);
  });
}

const status = (host: TestHost, value: bigint) =>
  host.with((draft) => void draft.vtdUnit("dmar0").registers.set("GSTS", host.fact(value)));

const faultStatus = (host: TestHost, value: bigint) =>
  host.with((draft) => void draft.vtdUnit("dmar0").registers.set("FSTS", host.fact(value)));

function dmarFlags(
  host: TestHost,
  flags: { interruptRemapping?: boolean; x2apicOptOut?: boolean },
): TestHost {
  return host.with(({ firmware }) => (firmware.dmar = host.fact({ ...firmware.dmar!.value, ...flags })));
}

const vfio = (host: TestHost) =>
  host.with((draft) => (deviceOf(draft, "01:00.0").driver = host.fact("vfio-pci")));

type Change = (host: TestHost) => unknown;

const intel: readonly (readonly [string, Change, readonly string[]])[] = [
  ["remapping is off", (host) => status(host, 0n), ["linux.ir.not-enabled: this host"]],
  [
    "remapping is off and a function is VFIO's",
    (host) => vfio(status(host, 0n)),
    ["linux.vfio.isolated: this host"],
  ],
  ["compatibility format is open", (host) => status(host, 0xc780_0000n), ["vtd.check.cfi: dmar0"]],
  ["DMA is not translated", (host) => status(host, 0x4700_0000n), ["pci.dma.unconfined: dmar0"]],
  ["the queue has stopped", (host) => faultStatus(host, 0x10n), ["vtd.qi.halt: dmar0"]],
  ["faults were dropped", (host) => faultStatus(host, 3n), ["vtd.fault.overflow: dmar0"]],
  ["a fault waits", (host) => faultStatus(host, 2n), ["vtd.fault.event: dmar0"]],
  ["sources are not checked", (host) => booted(host, "intremap=nosid"), ["linux.ir.nosid: this host"]],
  [
    "the kernel's variable says that sources are not checked",
    (host) =>
      host.with((draft) => (draft.system.variables = host.fact(new Map([["disable_sourceid_checking", 1]])))),
    ["linux.ir.nosid: this host"],
  ],
  [
    "the firmware does not report remapping",
    (host) => dmarFlags(host, { interruptRemapping: false }),
    ["linux.ir.dmar-flag: DMAR"],
  ],
  [
    "the firmware opts out of x2APIC mode",
    (host) => dmarFlags(host, { x2apicOptOut: true }),
    ["audit.dmar.x2apic-opt-out: DMAR"],
  ],
  [
    "that is overridden",
    (host) => booted(dmarFlags(host, { x2apicOptOut: true }), "intremap=no_x2apic_optout"),
    [],
  ],
  [
    "a unit cannot remap",
    (host) => host.with((draft) => (draft.vtdUnit("dmar0").extendedCapability = host.fact(0xf0_0f42n))),
    ["linux.ir.all-units: dmar0"],
  ],
  [
    "unsafe interrupts are allowed to VFIO",
    (host) =>
      host.with(
        (draft) =>
          void draft.system.parameters.set("vfio_iommu_type1.allow_unsafe_interrupts", host.fact("Y\n")),
      ),
    ["linux.vfio.unsafe-interrupts: vfio_iommu_type1.allow_unsafe_interrupts"],
  ],
  [
    "unsafe interrupts are allowed to iommufd",
    (host) =>
      host.with(
        (draft) => void draft.system.parameters.set("iommufd.allow_unsafe_interrupts", host.fact("1")),
      ),
    ["linux.vfio.unsafe-interrupts: iommufd.allow_unsafe_interrupts"],
  ],
  [
    "they are asked for and taken back in sysfs",
    (host) =>
      booted(host, "iommufd.allow_unsafe_interrupts=1").with(
        (draft) => void draft.system.parameters.set("iommufd.allow_unsafe_interrupts", host.fact("N")),
      ),
    [],
  ],
  [
    "x2APIC mode meets 8-bit destinations",
    (host) =>
      host.with((draft) => (draft.system.routing = host.fact({ mode: "x2apic", destinations: "cluster" }))),
    ["audit.unit.extended-mode: dmar0"],
  ],
  [
    "the units keep the processors out of x2APIC mode",
    (host) =>
      host.with((draft) => {
        draft.vtdUnit("dmar0").extendedCapability = host.fact(0xf0_0f4an);
        draft.system.flags = host.fact(new Set(["x2apic"]));
      }),
    ["linux.ir.extended-mode: dmar0"],
  ],
  [
    "the kernel posts to the host, before either fix",
    (host) => booted(host, "intremap=posted_msi", "6.12.5"),
    ["linux.posted-msi.clobbered-entry: 6.12.5", "linux.posted-msi.retrigger: 6.12.5"],
  ],
  [
    "the kernel posts to the host, before the second fix",
    (host) => booted(host, "intremap=posted_msi", "6.17.1-2"),
    ["linux.posted-msi.retrigger: 6.17.1-2"],
  ],
  ["the kernel posts to the host, mended", (host) => booted(host, "intremap=posted_msi", "6.19.0"), []],
  [
    "the kernel posts to the host and may not post",
    (host) => booted(host, "intremap=posted_msi,nopost", "6.12.5"),
    [],
  ],
  [
    "the log has a fault",
    (host) =>
      withLog(
        host,
        "DMAR: [INTR-REMAP] Request device [01:00.0] fault index 0x8 [fault reason 0x26] Blocked an interrupt request due to source-id verification failure",
      ),
    ["vtd.ir.sid-mismatch: 01:00.0"],
  ],
  [
    "the log says how remapping came up",
    (host) => withLog(host, "DMAR-IR: Enabled IRQ remapping in xapic mode"),
    [],
  ],
];

describe("the setup of an Intel host", () => {
  test.each(intel)("when %s", (_what, change, findings) => {
    const host = soundIntel();
    change(host);
    expect(foundIn(host.finish())).toEqual(findings);
  });

  test("with compatibility format open under EIME is only worth knowing", () => {
    const host = status(soundIntel(), 0xc780_0000n);
    host.with((draft) => {
      draft.vtdUnit("dmar0").extendedMode = host.fact(true);
    });
    const finding = audit(host.finish()).findings.find(({ rule }) => rule === "vtd.check.cfi");
    expect(finding).toMatchObject({ severity: "info" });
  });

  test("counts a fault that the log repeats once", () => {
    const line =
      "DMAR: [INTR-REMAP] Request device [01:00.0] fault index 0x8 [fault reason 0x22] Present field in the IRTE entry is clear";
    const { findings } = audit(withLog(soundIntel(), line, line, line).finish());
    expect(findings).toMatchObject([{ rule: "vtd.ir.not-present", severity: "medium" }]);
    expect(findings[0]!.title).toContain("3 times in the log");
    expect(findings[0]!.evidence.map(({ origin }) => origin.place)).toEqual(["line 1", "line 3"]);
  });

  test.each([
    [0x3403, 0x13, true],
    [0x3403, 0x14, false],
    [0x3405, 0x22, true],
    [0x3406, 0x22, false],
    [0x29c0, 0x02, false],
  ])("on host bridge 8086:%s revision %s", (deviceId, revision, broken) => {
    const host = soundIntel().device("00:00.0", {});
    host.with((draft) => {
      const config = new Uint8Array(64);
      config[8] = revision;
      const bridge = deviceOf(draft, "00:00.0");
      Object.assign(bridge, {
        vendorId: host.fact(0x8086),
        deviceId: host.fact(deviceId),
        config: host.fact(config),
      });
    });
    expect(foundIn(host.finish())).toEqual(broken ? ["linux.ir.chipset-erratum: 0000:00:00.0"] : []);
  });

  test("does not know whether it remaps without a unit, a chip, a log or a command line", () => {
    const { notChecked } = audit({ ...soundIntel().finish(), units: [], interrupts: [], firmware: {} });
    expect(notChecked).toContainEqual({
      rule: "linux.ir.not-enabled",
      missing: ["whether interrupts are remapped"],
      partly: false,
    });
  });
});

const scope = (enumerationId: number, requester: number, type = 3) => ({
  type,
  enumerationId,
  bus: 0xf0,
  path: [{ device: requester >> 3, function: 0 }],
});
const ioapics = (host: TestHost, ids: readonly number[]) =>
  host.with(
    (draft: HostDraft) =>
      (draft.firmware.madt = host.fact({
        header: undefined as never,
        processors: [],
        ioapics: ids.map((id) => ({ id, address: 0xfec0_0000, gsiBase: 24 * id })),
        findings: [],
      })),
  );

describe("the firmware of an Intel host", () => {
  test.each([
    ["names each IOAPIC", [{ base: 0xfed9_0000n, all: true, scopes: [scope(0, 0xf8), scope(1, 0xe8)] }], []],
    [
      "leaves an IOAPIC out",
      [{ base: 0xfed9_0000n, all: true, scopes: [scope(0, 0xf8)] }],
      ["linux.ir.all-ioapics: DMAR"],
    ],
    [
      "names an IOAPIC twice",
      [
        { base: 0xfed8_0000n, scopes: [scope(0, 0xf8)] },
        { base: 0xfed9_0000n, all: true, scopes: [scope(0, 0xf8), scope(1, 0xe8)] },
      ],
      ["audit.dmar.scopes-overlap: DMAR"],
    ],
    [
      "has two units for a whole segment",
      [
        { base: 0xfed8_0000n, all: true, scopes: [scope(0, 0xf8)] },
        { base: 0xfed9_0000n, all: true, scopes: [scope(1, 0xe8)] },
      ],
      ["audit.dmar.scopes-overlap: DMAR"],
    ],
  ])("%s", (_what, units, findings) => {
    expect(foundIn(ioapics(soundIntel().dmar(...units), [0, 1]).finish())).toEqual(findings);
  });
});

describe("the setup of an AMD host", () => {
  test.each([
    ["5.8.7", []],
    ["5.8.8", ["linux.amdvi.remapen-lost: 5.8.8"]],
    ["5.8.14-200.fc32", ["linux.amdvi.remapen-lost: 5.8.14-200.fc32"]],
    ["5.9.0-rc5", ["linux.amdvi.remapen-lost: 5.9.0-rc5"]],
    ["5.9.0", []],
  ])("under Linux %s", (release, findings) => {
    expect(foundIn(booted(soundAmd(), "", release).finish())).toEqual(findings);
  });

  test.each([
    ["AMD-Vi: iommu0 (0x0002) : IRT cache is disabled", ["linux.amdvi.cache-disabled: this host"]],
    ["AMD-Vi: Force to disable Virtual APIC due to SNP", ["linux.amdvi.snp-no-guest-mode: this host"]],
    ["AMD-Vi: Interrupt remapping enabled", []],
  ])("that says: %s", (line, findings) => {
    expect(foundIn(withLog(soundAmd(), line).finish())).toEqual(findings);
  });

  test("is told of nothing that is about VT-d", () => {
    const { checked, notChecked } = audit(soundAmd().finish());
    const vtd = /^(?:vtd|acpi\.dmar)\.(?!post)/;
    expect([...checked, ...notChecked].filter(({ rule }) => vtd.test(rule))).toEqual([]);
  });
});
