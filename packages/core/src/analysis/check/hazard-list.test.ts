import { describe, expect, test } from "vitest";
import { HazardList } from "./hazard-list.ts";
import { type Hazard, hazardLimit } from "./hazard.ts";

function hazard(at: number, index: number | null = null, rule: Hazard["rule"] = "vtd.gcmd.one-bit"): Hazard {
  return { rule, index, requester: null, at, since: null, found: "found", fix: "fix" };
}

describe("a list of hazards", () => {
  test("counts what comes up at one entry again, and lets the first one stand", () => {
    const list = new HazardList();
    for (const at of [3, 5, 9]) list.add(hazard(at, 1));
    list.add(hazard(4, 2));
    expect(list.count).toBe(2);
    expect(list.rows()).toMatchObject([
      { at: 3, index: 1, found: "found; 3 times in all" },
      { at: 4, index: 2, found: "found" },
    ]);
  });

  test("makes one of what comes up at many entries for one cause", () => {
    const list = new HazardList();
    for (const index of [1, 2, 3]) list.add(hazard(index, index), "unit");
    expect(list.count).toBe(1);
    expect(list.rows()).toMatchObject([{ at: 1, index: 1, found: "found; 3 such in all" }]);
  });

  test("keeps apart what stands for itself", () => {
    const list = new HazardList();
    for (const at of [7, 8]) list.add(hazard(at), "each");
    expect(list.rows().map(({ at, found }) => [at, found])).toEqual([
      [7, "found"],
      [8, "found"],
    ]);
  });

  test("is in the order of the lines, whenever a hazard was found", () => {
    const list = new HazardList();
    for (const at of [5, 2, 9]) list.add(hazard(at), "each");
    expect(list.rows().map(({ at }) => at)).toEqual([2, 5, 9]);
  });

  test("takes a rule back whole, with what it only counted", () => {
    const list = new HazardList();
    for (let at = 1; at <= 3 * hazardLimit; at++) list.add(hazard(at), "each");
    list.add(hazard(1, 1, "vtd.check.cfi"));
    expect(list.count).toBe(3 * hazardLimit + 1);
    expect(list.withdraw("vtd.gcmd.one-bit")).toBe(3 * hazardLimit);
    expect(list.withdraw("vtd.gcmd.one-bit")).toBe(0);
    expect(list.count).toBe(1);
  });

  test("shows so many and counts all of them, each cause once", () => {
    const list = new HazardList();
    for (const _ of [1, 2]) {
      for (let index = 0; index < 5000; index++) list.add(hazard(index + 1, index));
    }
    expect(list.count).toBe(5000);
    expect(list.rows()).toHaveLength(hazardLimit);
    expect(list.rows().at(-1)).toMatchObject({ at: hazardLimit });
  });
});
