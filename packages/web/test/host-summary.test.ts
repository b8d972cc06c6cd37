import { HostDraft, audit, mapOf } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { summaryOf } from "../src/engine/map/summary.ts";

describe("the summary of a host", () => {
  test("begins a list that it cuts with the machines that have the most interrupts", () => {
    const host = new HostDraft("none").finish();
    const map = mapOf(host);
    const machines = Array.from({ length: 300 }, (_, at) => ({
      machine: `${at}`,
      command: null,
      vcpus: 1,
      posted: at % 2 === 0 ? at : 0,
      remapped: at % 2 === 0 ? null : at,
    }));
    const { budgets } = summaryOf({ ...map, budgets: { ...map.budgets, machines } }, audit(host));
    expect(budgets.machines.all).toBe(300);
    expect(budgets.machines.first.map(({ machine }) => machine)).toEqual(
      Array.from({ length: 200 }, (_, at) => `${299 - at}`),
    );
  });
});
