import { type StateStore, type StoreBuffers, blockStates, mostStaged } from "./state-store.ts";
import type { World } from "./world.ts";

/** What walkers are to do. */
export type Task = (Expand | Peel) & {
  /** Where the states are by now. */
  readonly buffers: StoreBuffers;
};

/** To make every move from some states: ranges of numbers, which walkers take from one list until none is left. */
export interface Expand {
  readonly kind: "expand";
  readonly units: Int32Array;
}

/** To be done with states that no way leads to any more: each walker has a list of its own. */
export interface Peel {
  readonly kind: "peel";
  readonly states: Int32Array;
}

export interface Report {
  /** Moves that were made. */
  readonly transitions: number;
  /** A state that breaks a property, and the property; -1 if none was seen. */
  readonly wrong: number;
  readonly property: number;
  /** Of a `peel`: states that are done with, and those that have become so and are still to be looked at. */
  readonly peeled: number;
  readonly left: Int32Array;
}

export interface WalkOptions {
  /** The properties that count, a bit for each. */
  readonly heeded: number;
  /** Ways into each state are counted. */
  readonly counts: boolean;
  readonly mostStates: number;
  /** How many walk at the same time. */
  readonly walkers: number;
}

/** States in a unit. */
export const unitStates = 64;

/** States that all walkers may add before they look again whether there is room. */
export function mostAdded({ mostMoves }: World, { walkers }: WalkOptions): number {
  return (unitStates * mostMoves + blockStates) * walkers;
}

/** States that a `peel` is done with at most, before it hands back what is left. */
const mostPeeled = 50_000;

/** One thread's way through the states: it lets moves happen in its own copy of the world, and enters where they lead. */
export class Walker {
  /** Others walk at the same time. */
  together = false;
  readonly #world: World;
  readonly #store: StateStore;
  readonly #options: WalkOptions;
  readonly #codes: Int32Array;
  /** The next unit of the list, shared by all walkers. */
  readonly #cursor: Int32Array;
  /** States that may be noted when the moves from another are to be made. */
  readonly #mostStaged: number;
  /** The first state of a task that was found to break a property. */
  #wrong = -1;
  #property = -1;

  constructor(world: World, store: StateStore, cursor: Int32Array, options: WalkOptions) {
    this.#world = world;
    this.#store = store;
    this.#cursor = cursor;
    this.#options = options;
    this.#codes = new Int32Array(world.mostMoves);
    this.#mostStaged = mostStaged - world.mostMoves;
  }

  /**
   * @param until when to come back, by `now`; unfinished, if need be.
   * @param now milliseconds.
   */
  walk(task: Task, until: number, now: () => number): Report {
    this.#store.adopt(task.buffers);
    return task.kind === "expand" ? this.#expand(task.units, until, now) : this.#peel(task.states);
  }

  /** Comes back when there is nothing left, a property is broken, a table has to grow, or it is time. */
  #expand(units: Int32Array, until: number, now: () => number): Report {
    const store = this.#store;
    const world = this.#world;
    const { mostStates, heeded } = this.#options;
    const most = mostAdded(world, this.#options);
    let transitions = 0;
    for (let done = 0; this.#wrong < 0; done++) {
      if (!store.hasRoom(most) || store.states.count >= mostStates) break;
      if ((done & 15) === 15 && now() > until) break;
      const unit = Atomics.add(this.#cursor, 0, 1);
      if (2 * unit >= units.length) break;
      for (let state = units[2 * unit]!, end = units[2 * unit + 1]!; state < end; state++) {
        store.load(state);
        const wrong = world.wrong() & heeded;
        if (wrong !== 0) {
          this.#wrong = state;
          this.#property = 31 - Math.clz32(wrong & -wrong);
          break;
        }
        if (store.staged > this.#mostStaged) this.#enter();
        transitions += this.#leave();
      }
      this.#enter();
    }
    const wrong = this.#wrong;
    this.#wrong = -1;
    return { transitions, wrong, property: this.#property, peeled: 0, left: none };
  }

  /** Makes every move from the state that the world holds. @returns how many. */
  #leave(): number {
    const world = this.#world;
    const store = this.#store;
    const codes = this.#codes;
    const moves = world.moves(codes);
    for (let i = 0; i < moves; i++) {
      const code = codes[i]!;
      world.play(code);
      store.stage(world.touches === undefined ? store.everything : world.touches(code));
      store.restore();
    }
    return moves;
  }

  #enter(): void {
    const store = this.#store;
    const count = store.settle();
    if (!this.#options.counts) return;
    for (let i = 0; i < count; i++) store.addWays(store.to[i]!, 1, this.together);
  }

  /** Every state that no way leads to any more is done with, and so are the ways that lead from it. */
  #peel(given: Int32Array): Report {
    const store = this.#store;
    const free = Array.from(given);
    let transitions = 0;
    let peeled = 0;
    while (free.length > 0 && peeled < mostPeeled) {
      for (let state = free.pop(); state !== undefined; state = free.pop()) {
        store.load(state);
        transitions += this.#leave();
        peeled++;
        if (store.staged > this.#mostStaged) break;
      }
      const count = store.settle();
      for (let i = 0; i < count; i++) {
        const to = store.to[i]!;
        if (store.addWays(to, -1, this.together) === 1) free.push(to);
      }
    }
    return { transitions, wrong: -1, property: -1, peeled, left: Int32Array.from(free) };
  }
}

const none = new Int32Array();
