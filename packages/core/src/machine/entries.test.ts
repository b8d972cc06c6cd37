import { describe, expect, test } from "vitest";
import { intelRemapping } from "../linux/intel-ir/remapping-state.ts";
import { entriesOf, presentEntries } from "./entries.ts";
import { type Draft, booted, guest, nic } from "./testbed.ts";

const enabled = [{ enable: { device: "nic" } }];
const inGuest = [{ start: "guest" }, ...enabled];

describe("entries in memory", () => {
  test.each<[string, Draft, boolean]>([
    ["remapped", { machine: { cmdline: "intremap=nopost" } }, false],
    ["posted", {}, true],
    ["remapped on AMD", { machine: { vendor: "amd", cmdline: "amd_iommu_intr=legacy" } }, false],
    ["posted on AMD", { machine: { vendor: "amd", cmdline: "" } }, true],
  ])("are those that the driver keeps: %s", async (_, draft, posted) => {
    const { machine, act } = booted({ devices: nic, vms: guest, ...draft });
    await act(...inGuest);
    const { hardware, devices, baseline } = machine;
    const entries = entriesOf(hardware, devices.get("nic")!);
    expect(entries).toHaveLength(4);
    for (const entry of entries) expect(entry).toMatchObject({ present: true, posted });
    const added = presentEntries(hardware).filter(({ address }) => !baseline!.present.has(address));
    expect(added).toEqual(entries.map(({ address }) => ({ address, requester: "01:00.0" })));
    if (posted) expect(new Set(entries.map(({ target }) => target)).size).toBe(1);
    await act({ stop: "guest" });
    expect(entriesOf(hardware, devices.get("nic")!)).toEqual([]);
  });

  test("of several MSI vectors stand in a block, at which the message points", async () => {
    const { machine, act } = booted({ devices: { nic: { at: "01:00.0", msi: 8 } } });
    await act(...enabled);
    const { base } = intelRemapping(machine.kernel).units[0]!.table!;
    const at = entriesOf(machine.hardware, machine.device("nic")).map(({ address }) => (address - base) / 16);
    expect(at).toEqual(Array.from({ length: 8 }, (_, i) => at[0]! + i));
    expect(at[0]! % 8).toBe(0);
  });
});
