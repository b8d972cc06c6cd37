import { assert, property, uniqueArray, integer } from "fast-check";
import { describe, expect, test } from "vitest";
import { ThreadState, VcpuWord } from "./words.ts";

describe("wakeup lists", () => {
  test("are walked in the order of vCPUs, each once, and are empty in the end", () => {
    assert(
      property(uniqueArray(integer({ min: 0, max: 99 })), (vcpus) => {
        const state = new ThreadState({ vcpus: 100, cpus: 3, vms: 1, entries: 0, others: 0 });
        for (const vcpu of vcpus) state.addToList(1, vcpu);
        const walked: number[] = [];
        for (let at = state.nextOnList(1, -1); at >= 0; at = state.nextOnList(1, at)) walked.push(at);
        expect(walked).toEqual([...vcpus].sort((a, b) => a - b));
        expect([state.nextOnList(0, -1), state.nextOnList(2, -1), state.listed]).toEqual([
          -1,
          -1,
          vcpus.length,
        ]);
        for (const vcpu of vcpus) state.removeFromList(1, vcpu);
        expect([state.nextOnList(1, -1), state.listed]).toEqual([-1, 0]);
      }),
    );
  });
});

test("the places of everything are apart", () => {
  const shape = { vcpus: 3, cpus: 2, vms: 2, entries: 2, others: 2 };
  const state = new ThreadState(shape, 5);
  const places = [
    ...[0, 1, 2].map((vcpu) => state.vcpuAt(vcpu)),
    ...[0, 1].map((vm) => state.vmAt(vm)),
    ...[0, 1].map((entry) => state.entryAt(entry)),
    ...[0, 1, 2].map((vcpu) => state.threadAt(vcpu)),
    ...[0, 1].map((cpu) => state.handlerAt(cpu)),
    ...[0, 1].map((other) => state.otherAt(other)),
    state.more,
  ];
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(new Set(places).size).toBe(places.length);
  expect(state.words.length).toBe(state.more + 5);
  expect(state.get(state.vcpuAt(2) + VcpuWord.cpu)).toBe(-1);
});
