import { describe, expect, test } from "vitest";
import { leaksOf } from "./leaks.ts";
import { booted, runDraft } from "./testbed.ts";

const enabled = [{ enable: { device: "nic" } }];

describe("a kernel that cannot have more vectors", () => {
  const devices = { nic: { at: "01:00.0", msix: 300 }, ssd: { at: "02:00.0", msix: 2 } };
  const one = { cpus: 1 };

  test("refuses what is requested beyond, and gets all of it back", async () => {
    const result = await runDraft({ machine: one, devices, script: enabled });
    expect(result.findings).toEqual(["enable: 0000:01:00.0: request_irq: -ENOSPC"]);
    expect(result.leaks).toEqual([]);
  });

  test("takes back what was allocated to a driver that could request nothing", async () => {
    const { machine, act } = booted({ machine: one, devices });
    await expect(act(...enabled)).rejects.toThrow("-ENOSPC");
    await expect(act({ enable: { device: "ssd" } })).rejects.toThrow("request_irq: -ENOSPC");
    machine.takeApart();
    expect(leaksOf(machine)).toEqual([]);
  });
});
