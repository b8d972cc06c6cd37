import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readLspci } from "./lspci.ts";

const text = `00:1f.2 SATA controller [0106]: Intel Corporation 82801IR/IO/IH (ICH9R/DO/DH) 6 port SATA Controller [AHCI mode] [8086:2922] (rev 02) (prog-if 01 [AHCI 1.0])
	Subsystem: Red Hat, Inc. QEMU Virtual Machine [1af4:1100]
	Interrupt: pin A routed to IRQ 43
	IOMMU group: 7
	Capabilities: [80] MSI: Enable+ Count=1/1 Maskable- 64bit+
		Address: 00000000fee00338  Data: 0000
	Kernel driver in use: ahci

10000:e1:00.0 Non-Volatile memory controller [0108]: Intel Corporation NVMe Datacenter SSD [3DNAND] [8086:0a54] (prog-if 02 [NVM Express])
	Interrupt: pin A routed to IRQ 0
	Capabilities: [50] MSI: Enable- Count=1/8 Maskable+ 64bit+
		Address: 0000000000000000  Data: 0000
		Masking: 00000000  Pending: 00000000
	Capabilities: [70] MSI-X: Enable+ Count=64 Masked-
		Vector table: BAR=4 offset=00001000
		PBA: BAR=4 offset=00002000
	Kernel driver in use: nvme
`;

const { devices, lines } = readLspci(text);

test("ids, class, driver, group, MSI and MSI-X are read", () => {
  expect(devices).toMatchObject([
    {
      segment: 0,
      requester: 0xfa,
      vendorId: 0x8086,
      deviceId: 0x2922,
      classCode: 0x010601,
      driver: "ahci",
      group: 7,
      irq: 43,
      msi: { enabled: true, used: 1, available: 1, message: { address: 0xfee00338n, data: 0 } },
      msix: null,
    },
    {
      segment: 0x10000,
      requester: 0xe100,
      deviceId: 0x0a54,
      classCode: 0x010802,
      msi: { enabled: false, used: 1, available: 8, message: { address: 0n, data: 0 } },
      msix: { enabled: true, masked: false, available: 64, bar: 4, offset: 0x1000 },
    },
  ]);
  expect(lines.size).toBe(
    text.split("\n").filter((line) => line !== "" && !line.includes("Subsystem")).length,
  );
});

describe("other forms", () => {
  test.each([
    [
      "-n",
      "00:1f.2 0106: 8086:2922 (rev 02) (prog-if 01 [AHCI 1.0])\n",
      { vendorId: 0x8086, deviceId: 0x2922, classCode: 0x010601 },
    ],
    ["a programming interface of 0", "00:1f.0 0601: 8086:2918 (rev 02)\n", { classCode: 0x060100 }],
    [
      "no ids",
      "00:1f.2 SATA controller: Intel Corporation (rev 02)\n\tKernel driver in use: ahci\n",
      { vendorId: null, classCode: null, driver: "ahci" },
    ],
    ["-v", "01:00.0 0108: 1b36:0010\n\tCapabilities: [70] MSI-X: Enable+ Count=5 Masked-\n", { msix: null }],
    [
      "a user who is not root",
      "01:00.0 0108: 1b36:0010\n\tCapabilities: <access denied>\n",
      { denied: true },
    ],
    [
      "lspci before 3.0",
      "01:00.0 0108: 1b36:0010\n\tCapabilities: [50] Message Signalled Interrupts: 64bit+ Queue=1/3 Enable+\n\t\tAddress: 00000000fee00000  Data: 4039\n",
      { msi: { enabled: true, used: 2, available: 8, message: { address: 0xfee00000n, data: 0x4039 } } },
    ],
  ])("%s", (_, text, device) => {
    expect(readLspci(text).devices).toMatchObject([device]);
  });

  test("a hexadecimal dump is configuration space", () => {
    const rows = ["00: 86 80 22 29 07 05 10 00 02 01 06 01 00 00 00 00", "10: 01 02"];
    const [device] = readLspci(`00:1f.2 SATA controller: Intel\n${rows.join("\n")}\n`).devices;
    expect([...device!.config!]).toEqual([
      0x86, 0x80, 0x22, 0x29, 7, 5, 0x10, 0, 2, 1, 6, 1, 0, 0, 0, 0, 1, 2,
    ]);
    const [gap] = readLspci("00:1f.2 SATA controller: Intel\n00: 86 80\n20: 01 02\n").devices;
    expect(gap!.config).toHaveLength(2);
  });
});

test("a line that only looks like a heading is none", () => {
  expect(readLspci("00:1f.2 was lost\n12:34.5 hello\n").devices).toEqual([]);
});

test("spaces for tabs and CR LF change nothing", () => {
  expect(readLspci(text.replaceAll("\t", "        ").replaceAll("\n", "\r\n")).devices).toEqual(devices);
});

test("edited text is read without an exception, and messages come from it", () => {
  fc.assert(
    fc.property(fc.nat({ max: text.length }), fc.nat({ max: 40 }), fc.string(), (at, cut, put) => {
      const changed = text.slice(0, at) + put + text.slice(at + cut);
      for (const { msi } of readLspci(changed).devices) {
        if (msi !== null) expect(changed).toContain(msi.message.address.toString(16));
      }
    }),
  );
});
