import { describe, expect, test } from "vitest";
import { eventfdSignal } from "../linux/eventfd.ts";
import { booted, nic, runDraft } from "./testbed.ts";

describe("a program with VFIO", () => {
  const enable = { "vfio-enable": { device: "nic", vectors: 2 } };

  test("hears its interrupts through eventfds, again after it has closed the device", async () => {
    const round = [enable, { interrupt: { device: "nic", times: 3 } }, { "vfio-close": "nic" }];
    const result = await runDraft({
      devices: nic,
      script: [...round, ...round],
      expect: { delivered: 12, lost: 0, hostInterrupts: 12, remapped: 0 },
    });
    expect(result.findings).toEqual([]);
  });

  test("gives a device back that was pulled out", async () => {
    const result = await runDraft({
      devices: nic,
      script: [enable, { unplug: "nic" }],
      expect: { remapped: 0 },
    });
    expect(result.findings).toEqual([]);
  });

  test("does not count a signal twice that nobody raised", async () => {
    const { machine, act } = booted({ devices: nic });
    await act(enable);
    const { kernel: k } = machine;
    const [vector] = [...k.vfioDevices.values()][0]!.vectors.values();
    eventfdSignal(k, vector!.trigger);
    machine.settle();
    expect(machine.totals()).toMatchObject({ raised: 0, delivered: 1, hostInterrupts: 0 });
  });
});
