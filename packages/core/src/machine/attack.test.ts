import { describe, expect, test } from "vitest";
import { nic, runDraft } from "./testbed.ts";

const enabled = [{ enable: { device: "nic" } }];

describe("an attack", () => {
  const hostile = { ...nic, hostile: { at: "02:00.0", msix: 1 } };
  const script = [...enabled, { enable: { device: "hostile" } }, { attack: { device: "hostile" } }];

  test("gets its own interrupts through, and no other", async () => {
    const result = await runDraft({
      devices: hostile,
      script,
      expect: { hijacked: 0, blocked: { atLeast: 65_000 } },
    });
    expect(result.findings).toEqual([]);
    const said = result.episodes.at(-1)!.details.join(" ");
    expect(said).toMatch(/[\d,]+ attempts: [\d,]+ blocked, 1 of its own, 0 past its entries/);
  });

  test("leaves no trace: what comes later is delivered as before", async () => {
    const after = [
      ...script,
      { interrupt: { device: "nic", times: 2 } },
      { interrupt: { device: "hostile" } },
    ];
    const machine = { cmdline: "intel_iommu=on intremap=off" };
    const expected = { hijacked: { atLeast: 1000 }, blocked: 0, delivered: 9, lost: 0 };
    const { findings, episodes } = await runDraft({
      machine,
      devices: hostile,
      script: after,
      expect: expected,
    });
    expect(findings).toEqual([]);
    expect(episodes.find(({ what }) => what.includes("tries"))!.details.join()).toMatch(
      /it reached 4 CPUs, with 2\d\d vectors/,
    );
  });
});
