import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { HostDraft } from "./draft.ts";
import type { HostState } from "./state.ts";
import type { AmdviUnitState } from "./unit.ts";
import { readHostFiles } from "./read-files.ts";
import { type Content, memoryFiles } from "./testing/memory-files.ts";

function read(contents: Readonly<Record<string, Content>>): HostState {
  const draft = new HostDraft("memory");
  readHostFiles(memoryFiles(contents), draft);
  return draft.finish();
}

const values = <Value>(facts: readonly ({ readonly value: Value } | undefined)[]): (Value | undefined)[] =>
  facts.map((fact) => fact?.value);

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/${name}`, import.meta.url)));

/** Four processors of which one is offline. */
const offline = {
  "sys/devices/system/cpu/present": "0-3\n",
  "sys/devices/system/cpu/online": "0-1,3\n",
  "proc/cpuinfo": [0, 1, 3]
    .map(
      (cpu) =>
        `processor\t: ${cpu}\nvendor_id\t: GenuineIntel\napicid\t\t: ${2 * cpu}\nflags\t\t: fpu x2apic\n`,
    )
    .join("\n"),
  "proc/interrupts":
    "  CPU0  CPU1  CPU3\n 7:  1  2  3  IR-IO-APIC  7-edge  parport0\nPIN:  4  5  6   Posted-interrupt notification event\nERR:  1\n",
};

describe("folders that hold a host", () => {
  const kernel = { "proc/version": "Linux version 6.1.0 (a@b) #1 SMP\n" };
  const below = (folder: string): Readonly<Record<string, Content>> =>
    Object.fromEntries(Object.entries(kernel).map(([path, content]) => [`${folder}/${path}`, content]));

  test("one is read, whatever lies beside it", () => {
    expect(read(kernel).system.release?.value).toBe("6.1.0");
    expect(read({ ...below("a"), "logs/b": "" }).system.release?.value).toBe("6.1.0");
    // A machine's own root, with a copy of another in it.
    expect(read({ ...kernel, ...below("a"), ...below("b") }).system.release?.value).toBe("6.1.0");
  });

  test("of several none is read in place of the others", () => {
    expect(() => read({ ...below("a"), "b/interrupts": "", "b/pci/x": "", ...below("c") })).toThrow(
      "several hosts (a, b, c): give one of them",
    );
  });
});

describe("processors", () => {
  test("that are offline are there, and have counted nothing that is known", () => {
    const host = read(offline);
    expect(host.processors.map(({ cpu, online, apicId }) => [cpu, online?.value, apicId?.value])).toEqual([
      [0, true, 0],
      [1, true, 2],
      [2, false, undefined],
      [3, true, 6],
    ]);
    expect(host.interrupts[0]!.counts?.value).toEqual([1, 2, 0, 3]);
    expect(host.system.counters.get("PIN")?.value).toEqual([4, 5, 0, 6]);
    expect(host.system.counters.get("ERR")?.value).toEqual([1]);
    expect(host.system.vendor?.value).toBe("intel");
    expect(host.system.flags?.value.has("x2apic")).toBe(true);
  });

  test.each([
    [
      "APIC: Switched APIC routing to: cluster x2apic",
      { mode: "x2apic", destinations: "cluster" },
      [1, 4, undefined, 0x40],
    ],
    [
      "Switched APIC routing to physical x2apic.",
      { mode: "x2apic", destinations: "physical" },
      [1, 4, undefined, 0x40],
    ],
    ["Switched APIC routing to flat.", { mode: "xapic", destinations: "flat" }, [1, 2, 4, 8]],
    [
      "Switched APIC routing to physical flat.",
      { mode: "xapic", destinations: "physical" },
      [undefined, undefined, undefined, undefined],
    ],
  ])("have logical ids by the routing: %s", (line, routing, logical) => {
    const host = read({ ...offline, dmesg: `[    0.1] ${line}\n` });
    expect(host.system.routing?.value).toEqual(routing);
    expect(values(host.processors.map(({ logicalId }) => logicalId))).toEqual(logical);
  });

  test("above 15 lie in further clusters", () => {
    const host = read({
      "proc/cpuinfo": "processor : 0\napicid : 35\n",
      dmesg: "Switched APIC routing to cluster x2apic.\n",
    });
    expect(host.processors[0]!.logicalId?.value).toBe(0x0002_0008);
  });
});

describe("the kernel", () => {
  test("its release, command line, modules and parameters are read", () => {
    const { system } = read({
      "proc/version": "Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org)\n",
      "proc/cmdline": "quiet intel_iommu=on\n",
      "proc/modules": "kvm_intel 1 0 - Live 0x0\nkvm 1 1 kvm_intel, Live 0x0\n",
      "sys/module/kvm_intel/parameters/enable_apicv": "Y\n",
      "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts": "N\n",
      "sys/module/snd/parameters/slots": "x\n",
    });
    expect(system).toMatchObject({
      release: { value: "6.1.0-56-amd64", origin: { source: "proc/version" } },
      commandLine: { value: "quiet intel_iommu=on" },
    });
    expect(system.modules?.value).toEqual(new Set(["kvm_intel", "kvm"]));
    expect([...system.parameters].map(([name, { value }]) => [name, value])).toEqual([
      ["kvm_intel.enable_apicv", "Y"],
      ["vfio_iommu_type1.allow_unsafe_interrupts", "N"],
    ]);
  });
});

/** Configuration space with an MSI capability at 40h: enabled, one vector, this address and data. */
function configOf(address: number, data: number): Uint8Array {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x1533_8086, true);
  view.setUint32(4, 0x10_0000, true);
  view.setUint32(8, 0x0200_0003, true);
  bytes[0x34] = 0x40;
  view.setUint32(0x40, 0x0081_0005, true);
  view.setUint32(0x44, address, true);
  view.setUint16(0x4c, data, true);
  return bytes;
}

describe("PCI functions", () => {
  const path = "sys/bus/pci/devices/0000:01:00.0";

  test("have what sysfs has of them", () => {
    const [device] = read({
      [`${path}/config`]: configOf(0xfee00338, 0),
      [`${path}/vendor`]: "0x8086\n",
      [`${path}/device`]: "0x1533\n",
      [`${path}/class`]: "0x020000\n",
      [`${path}/irq`]: "43\n",
      [`${path}/driver`]: { link: "../../../bus/pci/drivers/igb" },
      [`${path}/iommu_group`]: { link: "../../../kernel/iommu_groups/12" },
      [`${path}/iommu`]: { link: "../../virtual/iommu/dmar1" },
      [`${path}/msi_irqs/43`]: "msi\n",
    }).devices;
    expect(device).toMatchObject({
      segment: 0,
      requester: 0x100,
      vendorId: { value: 0x8086, origin: { source: `${path}/vendor` } },
      classCode: { value: 0x020000 },
      driver: { value: "igb" },
      group: { value: 12 },
      unit: { value: "dmar1" },
      msi: { value: { enabled: true, message: { address: 0xfee00338n, data: 0 } } },
      messageIrqs: { value: [{ irq: 43, kind: "msi" }] },
    });
    // While MSI is on, the file has not the pin's interrupt.
    expect(device!.lineIrq).toBeUndefined();
  });

  test("that are virtual have the ids that their own space does not have, and name their physical function", () => {
    const config = configOf(0, 0).fill(0xff, 0, 4);
    const virtual = "sys/bus/pci/devices/10000:01:10.1";
    const [device] = read({
      [`${virtual}/config`]: config,
      [`${virtual}/vendor`]: "0x8086\n",
      [`${virtual}/device`]: "0x1520\n",
      [`${virtual}/physfn`]: { link: "../10000:01:00.1" },
    }).devices;
    expect(device).toMatchObject({
      segment: 0x10000,
      requester: 0x181,
      vendorId: { value: 0x8086 },
      deviceId: { value: 0x1520 },
      physicalFunction: { value: 0x101 },
    });
  });

  test("are read from /proc/bus/pci and from lspci, as a sosreport has them", () => {
    const host = read({
      "sosreport-host/proc/bus/pci/01/00.0": configOf(0xfee00338, 0),
      "sosreport-host/sos_commands/pci/lspci_-nnvv":
        "01:00.0 Ethernet controller [0200]: Intel I210 [8086:1533] (rev 03)\n\tIOMMU group: 12\n\tKernel driver in use: igb\n",
      "sosreport-host/sos_commands/kernel/uname_-a":
        "Linux host 5.14.0-427.el9.x86_64 #1 SMP x86_64 GNU/Linux\n",
      "sosreport-host/sos_commands/kernel/dmesg": "[ 0.1] DMAR-IR: Enabled IRQ remapping in x2apic mode\n",
    });
    expect(host.devices[0]).toMatchObject({
      requester: 0x100,
      driver: { value: "igb", origin: { source: "sos_commands/pci/lspci_-nnvv", place: "line 1" } },
      msi: { origin: { source: "proc/bus/pci/01/00.0" } },
    });
    expect(host.system.release?.value).toBe("5.14.0-427.el9.x86_64");
    expect(host.log?.value).toMatchObject([{ kind: "boot-message", says: "enabled" }]);
  });

  test("whose capabilities are hidden are named as missing", () => {
    const { missing } = read({ [`${path}/config`]: configOf(0, 0).subarray(0, 64) });
    expect(missing).toContainEqual(expect.objectContaining({ what: "capabilities of 1 PCI functions" }));
  });
});

describe("remapping units", () => {
  const vtd = {
    "sys/class/iommu/dmar0/intel-iommu/address": "fed90000\n",
    "sys/class/iommu/dmar0/intel-iommu/cap": "8d2078c106f0466\n",
    "sys/class/iommu/dmar0/intel-iommu/ecap": "f020df\n",
    "sys/class/iommu/dmar0/intel-iommu/version": "1:0\n",
  };

  test("of VT-d have what sysfs, DMAR and the log say of them", () => {
    const { units } = read({
      ...vtd,
      "sys/firmware/acpi/tables/DMAR": fixture("qemu-7.2-intel.dmar.bin"),
      dmesg: "DMAR-IR: Enabled IRQ remapping in xapic mode\n",
    });
    expect(units).toHaveLength(1);
    expect(units[0]).toMatchObject({
      vendor: "intel",
      name: "dmar0",
      registerBase: { value: 0xfed9_0000n },
      segment: { value: 0, origin: { source: "sys/firmware/acpi/tables/DMAR" } },
      capability: { value: 0x8d2_078c_106f_0466n },
      version: { value: 0x10 },
      remapping: { value: true },
      extendedMode: { value: false, origin: { source: "dmesg", place: "line 1" } },
    });
  });

  test("of AMD-Vi are numbered as IVRS lists them, where sysfs does not name them", () => {
    const { units } = read({
      "sys/firmware/acpi/tables/IVRS": fixture("qemu-7.2-amd.ivrs.bin"),
      dmesg: "AMD-Vi: Interrupt remapping enabled\nAMD-Vi: X2APIC enabled\n",
    });
    expect(units).toMatchObject([
      {
        vendor: "amd",
        name: "ivhd0",
        registerBase: { value: 0xfed8_0000n },
        remapping: { value: true },
        extendedMode: { value: true },
      },
    ]);
  });

  test("whose function a link names are known by it", () => {
    const { units } = read({
      "sys/class/iommu/ivhd0": { link: "../../devices/pci0000:00/0000:00:00.2/iommu/ivhd0" },
      "sys/class/iommu/ivhd0/amd-iommu/features": "10:29d3\n",
    });
    expect(units).toMatchObject([
      {
        name: "ivhd0",
        requester: { value: 2 },
        features: { value: 0x29d3n },
        features2: { value: 0x10n },
        extendedMode: { value: false },
      },
    ]);
  });

  test.each([
    ["6.1.0-56-amd64", "0:29d3", 0x29d3n, 0n],
    ["6.12.117+deb12-amd64", "29d3:0", 0x29d3n, 0n],
    ["5.14.0-600.el9.x86_64", "29d3:0", 0x29d3n, 0n],
    ["6.6.0", "10:29d3", 0x29d3n, 0x10n],
    ["6.7.0", "29d3:10", 0x29d3n, 0x10n],
    ["5.10.0", "29d3", 0x29d3n, undefined],
  ])(
    "of AMD-Vi have their features in the order that Linux %s prints: %s",
    (release, features, efr, efr2) => {
      const { units } = read({
        "proc/sys/kernel/osrelease": `${release}\n`,
        "sys/class/iommu/ivhd0": { link: "../../devices/pci0000:00/0000:00:00.2/iommu/ivhd0" },
        "sys/class/iommu/ivhd0/amd-iommu/features": `${features}\n`,
      });
      expect(units[0]).toMatchObject({ features: { value: efr } });
      expect((units[0] as AmdviUnitState).features2?.value).toBe(efr2);
    },
  );

  test("have the table and registers that debugfs has", () => {
    const debugfs = "sys/kernel/debug/iommu/intel";
    const { units, system } = read({
      ...vtd,
      [`${debugfs}/iommu_regset`]:
        "IOMMU: dmar0 Register Base Address: fed90000\nName\t\t\tOffset\t\tContents\nGCMD            \t0x18\t\t0x0000000000000000\nGSTS            \t0x1c\t\t0x00000000c7000000\nIRTA            \t0xb8\t\t0x0000000100900007\n",
      [`${debugfs}/ir_translation_struct`]:
        "Remapped Interrupt supported on IOMMU: dmar0\n IR table address:100900000\n Entry SrcID   DstID    Vct IRTE_high\t\tIRTE_low\n 0     00:0a.0 00000200 24  0000000000040050\t000002000024000d\n\n****\n\n",
    });
    const [unit] = units;
    expect(unit).toMatchObject({ extendedMode: { value: false }, remapping: { value: true } });
    expect([...unit!.registers.keys()]).toEqual(["GSTS", "IRTA"]);
    expect(unit!.vendor === "intel" && unit!.table?.value).toEqual({
      base: 0x1_0090_0000n,
      length: 256,
      width: 128,
      entries: new Map([[0, (0x40050n << 64n) | 0x0000_0200_0024_000dn]]),
      complete: true,
    });
    expect(system.routing).toMatchObject({
      value: { mode: "xapic", destinations: "flat" },
      origin: { place: "entry 0" },
    });
  });

  test("without a table are named as missing", () => {
    expect(read(vtd).missing.map(({ what }) => what)).toContain("interrupt remapping table of dmar0");
  });
});

describe("interrupts", () => {
  test("that nobody has asked for are read from sysfs", () => {
    const [interrupt] = read({
      "sys/kernel/irq/20/chip_name": "IR-IO-APIC\n",
      "sys/kernel/irq/20/hwirq": "20\n",
      "sys/kernel/irq/20/name": "fasteoi\n",
      "sys/kernel/irq/20/actions": "\n",
      "proc/irq/20/smp_affinity": "f\n",
      "proc/irq/20/effective_affinity_list": "2\n",
    }).interrupts;
    expect(interrupt).toMatchObject({
      irq: 20,
      chip: { value: "IR-IO-APIC" },
      hwirq: { value: 20n },
      flow: { value: "fasteoi" },
      actions: { value: [] },
      affinity: { value: [0, 1, 2, 3] },
      effective: { value: [2] },
      from: { value: { kind: "ioapic", id: null, pin: 20 } },
    });
  });

  test("of IOAPICs, HPETs and units say what sends them", () => {
    const { interrupts } = read({
      "sys/class/iommu/ivhd0": { link: "../../devices/pci0000:00/0000:00:00.2/iommu/ivhd0" },
      "sys/class/iommu/ivhd0/amd-iommu/features": "0:29d3\n",
      "proc/interrupts": [
        "  CPU0",
        " 1:  0  DMAR-MSI  1-edge  dmar1",
        " 2:  0  IR-HPET-MSI  2-edge  hpet2",
        " 3:  0  PCI-MSI 4096-edge  AMD-Vi",
        " 4:  0  IOMMU-MSI  0-edge  AMD-Vi1-GA",
        " 5:  0  IR-PCI-MSI 4096-edge  AMD-Vi",
        " 6:  0  PCI-MSI-0000:00:00.2  0-edge  AMD-Vi",
      ].join("\n"),
    });
    expect(values(interrupts.map(({ from }) => from))).toEqual([
      { kind: "unit", unit: "dmar1" },
      { kind: "hpet", id: null },
      { kind: "unit", unit: "ivhd0" },
      { kind: "unit", unit: "ivhd1" },
      undefined,
      { kind: "unit", unit: "ivhd0" },
    ]);
  });

  test("have the levels that debugfs has of them", () => {
    const [interrupt] = read({
      "sys/kernel/debug/irq/irqs/4": fixture("irq-debugfs-amd-ioapic.txt"),
    }).interrupts;
    expect(interrupt).toMatchObject({
      irq: 4,
      chip: { value: "IR-IO-APIC" },
      vector: { value: { vector: 33, cpu: 130 } },
      started: { value: true },
      masked: { value: false },
      from: { value: { kind: "ioapic", id: 240, pin: 4 } },
    });
  });
});

test("the vectors that a processor has left are read from debugfs", () => {
  const { processors } = read({
    "sys/kernel/debug/irq/domains/VECTOR":
      " | CPU | avl | man | mac | act | vectors\n     1   189     4     1   12  33-44\n",
  });
  expect(processors).toMatchObject([{ cpu: 1, vectors: { value: { available: 189, allocated: 12 } } }]);
});

test("the better source is believed, and a later one fills in", () => {
  const draft = new HostDraft("memory");
  const known = { value: [9], origin: { source: "kernel memory" } };
  draft.interrupt(7).affinity = known;
  readHostFiles(
    memoryFiles({ "proc/irq/7/smp_affinity": "f\n", "proc/irq/7/effective_affinity": "1\n" }),
    draft,
  );
  expect(draft.interrupt(7)).toMatchObject({ affinity: known, effective: { value: [0] } });
});

test("what may not be read is named once, with why", () => {
  const refused = { refused: "permission denied" };
  const { missing } = read({
    "sys/firmware/acpi/tables/DMAR": refused,
    "sys/firmware/acpi/tables/APIC": refused,
    "proc/interrupts": "  CPU0\n",
  });
  expect(missing.filter(({ what }) => what === "ACPI tables")).toEqual([
    {
      what: "ACPI tables",
      why: "sys/firmware/acpi/tables/DMAR: permission denied (and 1 more)",
      needs: "root",
    },
  ]);
});

test("a table that is none is named, and the rest is read", () => {
  const host = read({ ...offline, "sys/firmware/acpi/tables/DMAR": "nonsense" });
  expect(host.firmware.dmar).toBeUndefined();
  expect(host.missing.map(({ what }) => what)).toContain("ACPI table DMAR");
  expect(host.processors).toHaveLength(4);
});

test("files that say nothing of a host give an empty picture", () => {
  const { processors, devices, units, interrupts } = read({ "readme.txt": "hello", "a/b/c": "d" });
  expect([processors, devices, units, interrupts]).toEqual([[], [], [], []]);
});
