import { afterEach, expect, test, vi } from "vitest";
import { baseSize } from "./protocol.ts";
import { Search, explore } from "./search.ts";
import type { World } from "./world.ts";
import { protocols } from "./worlds.ts";

afterEach(() => vi.unstubAllGlobals());

function world(): World {
  return protocols.intel.world("base", baseSize);
}

test("a search by one walker is the same where threads have no memory to share", { timeout: 30_000 }, () => {
  const search = new Search(world(), { walkers: 2 });
  const tasks = search.run();
  let task = tasks.next();
  while (task.done !== true) task = tasks.next([search.walker.walk(task.value, Infinity, () => 0)]);
  vi.stubGlobal("SharedArrayBuffer", undefined);
  const { states, transitions, depth, exhausted } = explore(world());
  expect({ states, transitions, depth, exhausted }).toEqual({
    states: task.value.states,
    transitions: task.value.transitions,
    depth: task.value.depth,
    exhausted: true,
  });
  expect(() => new Search(world(), { walkers: 2 })).toThrow();
});
