import { describe, expect, test } from "vitest";
import { avicPosting } from "../../linux/posting/avic-table.ts";
import { vmxPosting } from "../../linux/posting/vmx-table.ts";
import { ruleOf } from "../../spec/rules.ts";
import { baseSize } from "./protocol.ts";
import { raceSteps } from "./race-steps.ts";
import { explore } from "./search.ts";
import { type Sequence, sequenceOf } from "./sequence.ts";
import { ruleOfMove } from "./step-rules.ts";
import { protocols } from "./worlds.ts";

function without(
  vendor: "intel" | "amd",
  id: string,
  play = protocols[vendor].removable.find((each) => each.id === id)!.play,
): { sequence: Sequence; moves: readonly unknown[] } {
  const protocol = protocols[vendor];
  const counterexample = explore(protocol.world(play, baseSize, id)).counterexample!;
  const sequence = sequenceOf(protocol.world(play, baseSize, id), counterexample);
  return { sequence, moves: counterexample.moves };
}

/** What something holds, move by move, from before the first. */
function history({ first, beats }: Sequence, what: string, name: string): string[] {
  return [first, ...beats.map(({ seen }) => seen)].map(
    (seen) => seen.find((each) => each.what === what)!.values[name]!,
  );
}

describe("a counterexample made once more", { timeout: 30_000 }, () => {
  test.each(
    (["intel", "amd"] as const).flatMap((vendor) =>
      protocols[vendor].removable.map(({ id }) => [vendor, id] as const),
    ),
  )(
    "has the search's moves, lanes for all who take part, and says what each changes: %s without %s",
    (vendor, id) => {
      const { sequence, moves } = without(vendor, id);
      expect(sequence.beats.map(({ move }) => move)).toEqual(moves);
      let before = sequence.first;
      for (const { lane, arrows, seen, changes } of sequence.beats) {
        const lanes = [lane, ...arrows.flatMap(({ from, to }) => [from, to])];
        expect(sequence.lanes).toEqual(expect.arrayContaining(lanes));
        for (const { from, to } of arrows) expect(from).not.toBe(to);
        const differing = seen.flatMap(({ what, values }, i) =>
          Object.keys(values)
            .filter((name) => values[name] !== before[i]!.values[name])
            .map((name) => [what, name]),
        );
        expect(changes.map(({ what, name }) => [what, name])).toEqual(differing);
        before = seen;
      }
    },
  );

  test("shows why an interrupt is lost that was posted while SN was set", () => {
    const { sequence } = without("intel", "recompute-on");
    const descriptor = "descriptor of vcpu 0";
    expect(sequence.property).toBe("lost interrupt");
    expect(sequence.lanes).toEqual(["device 0", "device 1", "IOMMU", "vcpu 0"]);
    expect(history(sequence, descriptor, "SN")).toEqual(["1", "1", "1", "0", "0", "0"]);
    expect(history(sequence, descriptor, "ON")).toEqual(["0", "0", "0", "0", "0", "0"]);
    expect(history(sequence, descriptor, "PIR").at(-1)).toBe("08h, 09h");
    expect(history(sequence, "vcpu 0", "thread").at(-1)).toBe("in the guest");
    expect(sequence.beats[0]!.arrows).toEqual([{ from: "device 0", to: "IOMMU", what: "MSI" }]);
  });

  test("has an arrow for what is sent: a notification to the CPU of a vCPU that sleeps", () => {
    const { sequence } = without("intel", "kick-on-assign");
    const sent = sequence.beats.flatMap(({ arrows }) =>
      arrows.map(({ from, to, what }) => `${from} > ${to}: ${what}`),
    );
    expect(sent).toEqual(["vcpu 0 > scheduler: sleeps", "device 0 > IOMMU: MSI", "IOMMU > cpu 0: F2h"]);
    expect(history(sequence, "cpu 0", "APIC").at(-1)).toBe("F2h");
  });

  test("has a doorbell that rings where the vCPU no longer runs its guest", () => {
    const { sequence } = without("amd", "block-hold-cpu");
    const rings = sequence.beats.findIndex(({ arrows }) => arrows.some(({ what }) => what === "doorbell"));
    expect(sequence.beats[rings]!.arrows).toContainEqual({ from: "IOMMU", to: "cpu 0", what: "doorbell" });
    expect(history(sequence, "vcpu 0", "thread")[rings + 1]).toBe("in the host");
    expect(history(sequence, "vcpu 0", "IRR").at(-1)).toBe("from device 1");
  });

  test("has an arrow to the host for the interrupt that the unit does not post, and one only", () => {
    const { sequence } = without("amd", "software-doorbell", "assign");
    const comes = sequence.beats.findIndex(({ lane, move }) => lane === "host" && move.actor === "device 0");
    const arrow = { from: "IOMMU", to: "host", what: "host's vector" };
    expect(sequence.beats[comes]!.move.step).toBe("software-request");
    expect(sequence.beats[comes]!.arrows).toContainEqual(arrow);
    const all = sequence.beats.flatMap(({ arrows }) => arrows.filter(({ what }) => what === arrow.what));
    expect(all).toEqual([arrow]);
  });

  test("knows where a round begins", () => {
    const { sequence } = without("amd", "log-clear-interrupt");
    expect(sequence.property).toBe("endless wakeup");
    expect(sequence.beats[sequence.roundFrom!]!.lane).toBe("guest log");
    // Whoever goes round comes back to what he has left.
    const text = (at: number): string => JSON.stringify(sequence.beats[at]!.seen.map(({ values }) => values));
    expect(text(sequence.beats.length - 1)).toBe(text(sequence.roundFrom! - 1));
  });
});

describe("as steps along an interrupt's way", { timeout: 30_000 }, () => {
  test("a move touches the descriptor where its bits change, and names the fields", () => {
    const { sequence } = without("intel", "recompute-on");
    const steps = raceSteps(sequence);
    expect(steps.map(({ title }) => title)).toEqual(sequence.beats.map(({ move }) => move.step));
    expect(steps[0]).toMatchObject({
      stop: "descriptor",
      actor: "IOMMU",
      rule: "vtd.post.atomic",
      section: ruleOf("vtd.post.atomic").section,
      touched: [{ what: "descriptor of vcpu 0", layout: "posted-descriptor", fields: ["pir"] }],
    });
    const { before, value } = steps[0]!.touched[0]!;
    expect(value ^ before!).toBe(1n << 8n);
    expect(steps[2]!.touched.map(({ fields }) => fields)).toEqual([["sn"]]);
    expect(steps[3]!.touched).toEqual([]);
  });

  test("the entry that changes its mode is one of the layout that it then has", () => {
    const { sequence } = without("intel", "irte-invalidate");
    const step = raceSteps(sequence).find(({ title }) => title === "irte-exchange")!;
    expect(step.touched.map(({ what, layout }) => [what, layout])).toEqual([["entry 0", "irte-remapped"]]);
    expect(step).toMatchObject({
      stop: "entry",
      actor: "host",
      thread: "host",
      stack: ["modify_irte"],
      rule: "vtd.check.entry-changed",
    });
  });

  test("only a kernel's function is a call: hardware, guests and the scheduler have no thread", () => {
    for (const [vendor, id] of [
      ["intel", "kick-on-assign"],
      ["amd", "put-clear-running"],
      ["amd", "log-clear-interrupt"],
    ] as const) {
      const { sequence } = without(vendor, id);
      for (const [i, { thread, stack }] of raceSteps(sequence).entries()) {
        const { move, lane } = sequence.beats[i]!;
        expect([thread, stack]).toEqual(/^\w+_/.test(move.routine) ? [lane, [move.routine]] : [null, []]);
      }
    }
  });

  test("what a device's interrupt leads the host to is the host's", () => {
    const { sequence } = without("amd", "software-doorbell", "assign");
    const step = raceSteps(sequence).find(({ title }) => title === "software-request")!;
    expect(step).toMatchObject({ actor: "host", thread: "host", stack: ["svm_deliver_interrupt"] });
  });

  test("an AMD-Vi unit's and its entry's steps are where a run has them, by the same rules", () => {
    const { sequence } = without("amd", "log-clear-interrupt");
    const told = raceSteps(sequence).map(({ title, stop, rule }) => [title, stop, rule]);
    expect(told).toEqual(
      expect.arrayContaining([
        ["device-set-irr", "descriptor", "amdvi.ga.post"],
        ["device-test-running", "entry", "amdvi.ga.not-cached"],
        ["device-doorbell", "descriptor", "amdvi.ga.doorbell"],
        ["device-log", "descriptor", "amdvi.ga.log"],
        ["load-update-entries", "entry", "amdvi.ga.not-cached"],
        ["guest halts", "vcpu", null],
      ]),
    );
  });

  test("what is wrong with an AMD-Vi entry is told where it is read, and at the end", () => {
    const { sequence } = without("amd", "load-update-entries");
    const steps = raceSteps(sequence);
    expect(sequence.property).toBe("vCPU taken for where it is not");
    const wrong = "IRTE 0: leads to vcpu 0, IsRun 0, Destination cpu 0, GALogIntr 0, RemapEn 1.";
    const told = steps.filter(({ detail }) => detail.includes(wrong)).map(({ title }) => title);
    expect(told).toEqual(["device-test-running", "device-test-running", "entry-resume"]);
    expect(history(sequence, "vcpu 0", "thread").at(-1)).toBe("in the guest");
    const arrows = sequence.beats.flatMap((beat) => beat.arrows);
    expect(arrows).toContainEqual({ from: "scheduler", to: "vcpu 0", what: "gets cpu 0" });
  });

  test.each([
    ["intel", vmxPosting],
    ["amd", avicPosting],
  ] as const)("each step of hardware's has a rule: %s", (_, { ids, steps }) => {
    const hardware = ids.flatMap((step, i) => {
      const { routine, does } = steps[i + 1]!;
      return routine.startsWith("hardware") ? [{ actor: "", step, routine, does }] : [];
    });
    expect(hardware.length).toBeGreaterThan(5);
    expect(hardware.filter((move) => ruleOfMove(move) === null)).toEqual([]);
  });
});
