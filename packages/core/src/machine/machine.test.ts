import { describe, expect, test } from "vitest";
import { leaksOf } from "./leaks.ts";
import { booted, guest, nic, runDraft } from "./testbed.ts";

const enabled = [{ enable: { device: "nic" } }];
const inGuest = [{ start: "guest" }, ...enabled];

describe("after a crash", () => {
  test("a VM is gone with the kernel that ran it, and its device sends to nobody", async () => {
    const { machine, act } = booted({ devices: nic, vms: guest });
    await act(...inGuest, { interrupt: { device: "nic" } }, "crash");
    expect(machine.vms.size).toBe(0);
    await act({ interrupt: { device: "nic" } });
    expect(machine.totals()).toMatchObject({ raised: 8, delivered: 4, lost: 4 });
    await act({ start: "guest" }, { enable: { device: "nic" } }, { interrupt: { device: "nic" } });
    expect(machine.totals().delivered).toBe(8);
    machine.takeApart();
    expect(leaksOf(machine)).toEqual([]);
  });

  test("a device that was pulled out before does not come back", async () => {
    const { act } = booted({ devices: nic });
    await act({ unplug: "nic" }, "crash");
    await expect(act(...enabled)).rejects.toThrow("nic is gone");
  });
});

test("the log is the host's kernels', line by line, each told once", async () => {
  const { log, episodes } = await runDraft({
    devices: nic,
    vms: guest,
    script: [...inGuest, "crash"],
    expect: { lost: 0 },
  });
  const copied = log.filter((line) => line.includes("Copied IR table"));
  expect(copied).toEqual(["DMAR-IR: Copied IR table for dmar0 from previous kernel"]);
  expect(log.filter((line) => line === "DMAR-IR: Enabled IRQ remapping in x2apic mode")).toHaveLength(2);
  expect(episodes.flatMap(({ details }) => details).filter((line) => line.startsWith("guest: "))).toEqual([]);
});
