import type { MsiState } from "../../../evidence/host/device.ts";
import type { HostDraft } from "../../../evidence/host/draft.ts";
import type { HostState } from "../../../evidence/host/state.ts";
import { TestHost, named, vtdMessage } from "../../host/testing/test-host.ts";
import { audit } from "../audit.ts";

/** Linux gives a processor one bit of a flat logical destination; in xAPIC mode it stands in bits 15:8. */
export function flat(cpu: number): number {
  return 0x100 << cpu;
}

/** A function's MSI that is on, with the message that Linux writes for an index of VT-d. */
export function msiAt(
  host: TestHost,
  index: number,
  { used = 1, data = 0 } = {},
): { msi: { value: MsiState; origin: TestHost["origin"] } } {
  const { address } = vtdMessage(index);
  return { msi: host.fact({ enabled: true, used, available: used, message: { address, data } }) };
}

/** An Intel host of four processors with a network card, its two vectors remapped, and a disk controller. */
export function soundIntel(): TestHost {
  const host = new TestHost().cpus(4).vtd().dmar({ base: 0xfed9_0000n, all: true });
  return host
    .device("01:00.0", { driver: "e1000e" })
    .device("02:00.0", { driver: "ahci", ...msiAt(host, 20) })
    .remapped(8, { sid: 0x0100, v: 0x31, dm: 1, dst: flat(1) })
    .remapped(9, { sid: 0x0100, v: 0x32, dm: 1, dst: flat(2) })
    .remapped(20, { sid: 0x0200, v: 0x33, dm: 1, dst: flat(3) })
    .irq(40, { device: "01:00.0", entry: 8, actions: ["eth0-rx"], chip: "IR-PCI-MSIX-0000:01:00.0" })
    .irq(41, {
      device: "01:00.0",
      vector: 1,
      entry: 9,
      actions: ["eth0-tx"],
      chip: "IR-PCI-MSIX-0000:01:00.0",
    })
    .irq(42, { device: "02:00.0", entry: 20, actions: ["ahci"], chip: "IR-PCI-MSI-0000:02:00.0" })
    .with((draft) => {
      give(host, draft, 40, 0x31, 1);
      give(host, draft, 41, 0x32, 2);
      give(host, draft, 42, 0x33, 3);
      draft.system.modules = host.fact(new Set(["e1000e"]));
    });
}

/** An AMD host of four processors with a network card and its two vectors. */
export function soundAmd(): TestHost {
  const host = new TestHost().cpus(4).amdvi();
  return host
    .device("01:00.0", {
      driver: "e1000e",
      msix: host.fact({ enabled: true, masked: false, available: 2, bar: 0, offset: 0 }),
    })
    .remapped128(0x0100, 0, { vector: 0x31, dm: 1, dest: 2 })
    .remapped128(0x0100, 1, { vector: 0x32, dm: 1, dest: 4 })
    .irq(40, { device: "01:00.0", entry: 0, actions: ["eth0-rx"], chip: "IR-PCI-MSIX-0000:01:00.0" })
    .irq(41, {
      device: "01:00.0",
      vector: 1,
      entry: 1,
      actions: ["eth0-tx"],
      chip: "IR-PCI-MSIX-0000:01:00.0",
    })
    .with((draft) => {
      give(host, draft, 40, 0x31, 1);
      give(host, draft, 41, 0x32, 2);
      draft.system.modules = host.fact(new Set(["e1000e"]));
    });
}

/** What the kernel gave an interrupt. */
export function give(host: TestHost, draft: HostDraft, irq: number, vector: number, cpu: number): void {
  draft.interrupt(irq).vector = host.fact({ vector, cpu });
}

/** Findings as `rule: subject`. */
export function foundIn(state: HostState): string[] {
  return audit(state).findings.map(({ rule, subject }) => `${rule}: ${subject.name}`);
}

/** The device of a host under construction. */
export function deviceOf(draft: HostDraft, name: string): ReturnType<HostDraft["device"]> {
  const { segment, requester } = named(name);
  return draft.device(segment, requester);
}
