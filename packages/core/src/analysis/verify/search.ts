import { StateStore, type StoreBuffers } from "./state-store.ts";
import { bufferOf } from "./tuple-table.ts";
import { type Report, type Task, type WalkOptions, Walker, mostAdded, unitStates } from "./walker.ts";
import type { Move, World } from "./world.ts";

/** What a search may cost, and what it looks for. */
export interface SearchOptions {
  /** The properties that count; all unless told. */
  readonly heeded?: readonly string[];
  /** States after which it gives up. */
  readonly mostStates?: number;
  /** Bytes after which it gives up: 64 MiB unless told. */
  readonly mostBytes?: number;
  /** Walkers that may work at the same time; 1 unless told. */
  readonly walkers?: number;
  /** Bits of hashes that count: fewer make it slower, and change nothing else. */
  readonly hashMask?: number;
}

/** How a property is broken: moves from the beginning, as few as possible. */
export interface Counterexample {
  readonly property: string;
  readonly moves: readonly Move[];
  /** The same moves, each as the world's {@link World.moves} has it. */
  readonly codes: readonly number[];
  /** The move with which a round begins that can go on for ever; null if nothing goes round. */
  readonly roundFrom: number | null;
}

export interface Exploration {
  readonly states: number;
  /** Moves that were made, the search for rounds not counted. */
  readonly transitions: number;
  /** Moves to the farthest state. */
  readonly depth: number;
  readonly bytes: number;
  /** Every state that can be reached was seen: only then nothing found means that nothing is there. */
  readonly exhausted: boolean;
  /** What ran out before the states did. */
  readonly stopped: "states" | "memory" | null;
  readonly counterexample: Counterexample | null;
}

/** What threads need to take part in a search: they can in one that was told of more walkers than one. */
export interface Shares {
  readonly buffers: StoreBuffers;
  readonly cursor: ArrayBufferLike;
  readonly options: WalkOptions;
  readonly hashMask: number;
}

/**
 * A walker in a thread of its own, over what a search shares.
 * @param world the same as the search's, in a copy of its own.
 * @param thread from 1: the search's own walker has 0.
 */
export function joinSearch(world: World, shares: Shares, thread: number): Walker {
  const { buffers, cursor, options, hashMask } = shares;
  const store = new StateStore(world, { mostBytes: 0, hashMask }, buffers, thread);
  const walker = new Walker(world, store, new Int32Array(cursor), options);
  walker.together = true;
  return walker;
}

const defaultBytes = 64 * 2 ** 20;

/**
 * A search through all states of a world, level by level, so that what is found first is nearest. Whoever drives it
 * gives its tasks to one walker or several, and the walkers' reports back to it.
 */
export class Search {
  /** Walks in the thread that drives the search. */
  readonly walker: Walker;
  readonly #world: World;
  readonly #store: StateStore;
  readonly #cursor: Int32Array;
  readonly #walk: WalkOptions;
  readonly #hashMask: number;
  readonly #mostBytes: number;
  readonly #endless: number;
  #transitions = 0;
  #depth = 0;
  #peeled = 0;
  #wrong = -1;
  #property = -1;
  #stopped: Exploration["stopped"] = null;

  /** @throws RangeError when the world's parts are not such. */
  constructor(world: World, options: SearchOptions = {}) {
    const { heeded = world.properties, mostStates = Infinity, walkers = 1, hashMask = -1 } = options;
    this.#world = world;
    this.#mostBytes = options.mostBytes ?? defaultBytes;
    this.#store = new StateStore(world, { mostBytes: this.#mostBytes, hashMask, shared: walkers > 1 });
    this.#cursor = new Int32Array(bufferOf(4, walkers > 1));
    const { endless } = world;
    this.#endless = endless !== undefined && heeded.includes(endless) ? 1 : 0;
    let bits = 0;
    for (const [bit, property] of world.properties.entries()) if (heeded.includes(property)) bits |= 1 << bit;
    const walk = { heeded: bits, counts: this.#endless === 1, mostStates, walkers };
    this.#walk = walk;
    this.#hashMask = hashMask;
    this.walker = new Walker(world, this.#store, this.#cursor, walk);
  }

  get shares(): Shares {
    const cursor = this.#cursor.buffer;
    return { buffers: this.#store.buffers, cursor, options: this.#walk, hashMask: this.#hashMask };
  }

  get states(): number {
    return this.#store.states.count;
  }

  get transitions(): number {
    return this.#transitions;
  }

  get depth(): number {
    return this.#depth;
  }

  get bytes(): number {
    return this.#store.bytes;
  }

  /** States that rounds have been looked for in; 0 until all states are known. */
  get peeled(): number {
    return this.#peeled;
  }

  /** Each task is done when every walker has reported on it. */
  *run(): Generator<Task, Exploration, readonly Report[]> {
    const first = this.#store.begin();
    this.#store.setParent(first, -1);
    for (let level = this.#since([]); level.length > 0 && this.#goesOn;) {
      const before = this.#store.states.ranges();
      yield* this.#expand(level);
      if (!this.#goesOn) break;
      level = this.#since(before);
      if (level.length > 0) this.#depth++;
    }
    if (this.#wrong >= 0) return this.#result(this.#pathTo(this.#wrong), this.#property);
    if (this.#stopped === null && this.#endless === 1) {
      yield* this.#peel(first);
      if (this.#peeled < this.states) return this.#round();
    }
    return this.#result(null, -1);
  }

  get #goesOn(): boolean {
    return this.#wrong < 0 && this.#stopped === null;
  }

  /** States that have come since, in units. */
  #since(before: readonly (readonly [number, number])[]): Int32Array {
    const units: number[] = [];
    const add = (from: number, to: number): void => {
      for (let at = from; at < to; at += unitStates) units.push(at, Math.min(at + unitStates, to));
    };
    for (const [from, to] of this.#store.states.ranges()) {
      let at = from;
      for (const [knownFrom, knownTo] of before) {
        if (knownTo <= at || knownFrom >= to) continue;
        add(at, knownFrom);
        at = knownTo;
      }
      add(at, to);
    }
    return Int32Array.from(units);
  }

  *#expand(level: Int32Array): Generator<Task, void, readonly Report[]> {
    for (let units = level; units.length > 0 && this.#goesOn;) {
      this.#makeRoom();
      if (this.#stopped !== null) return;
      this.#cursor[0] = 0;
      const reports = yield { kind: "expand", units, buffers: this.#store.buffers };
      for (const { transitions, wrong, property } of reports) {
        this.#transitions += transitions;
        if (wrong < 0) continue;
        this.#wrong = wrong;
        this.#property = property;
      }
      units = units.slice(2 * this.#cursor[0]);
    }
  }

  /** For what every walker may add before it looks again. */
  #makeRoom(): void {
    const most = 2 * mostAdded(this.#world, this.#walk);
    if (this.states >= this.#walk.mostStates) this.#stopped = "states";
    else if (!this.#store.hasRoom(most) && !this.#store.grow(most, this.#mostBytes)) this.#stopped = "memory";
  }

  *#peel(first: number): Generator<Task, void, readonly Report[]> {
    // No way leads to the first state, unless it is on a round.
    if (this.#store.ways(first) !== 0) return;
    for (let states = Int32Array.of(first); states.length > 0;) {
      const reports = yield { kind: "peel", states, buffers: this.#store.buffers };
      this.#peeled += reports.reduce((sum, { peeled }) => sum + peeled, 0);
      states = Int32Array.from(reports.flatMap(({ left }) => Array.from(left)));
    }
  }

  /** What could not be peeled is on a round, or behind one. */
  #round(): Exploration {
    const { world, store } = { world: this.#world, store: this.#store };
    const codes = new Int32Array(world.mostMoves);
    /** By state: its place on the way, or -1 once all its moves have been followed. */
    const places = new Map<number, number>();
    for (const [from, to] of store.states.ranges()) {
      for (let start = from; start < to; start++) {
        if (store.ways(start) === 0 || places.has(start)) continue;
        const way = [{ state: start, next: 0 }];
        places.set(start, 0);
        for (let at = way.at(-1); at !== undefined; at = way.at(-1)) {
          store.load(at.state);
          if (at.next === world.moves(codes)) {
            places.set(at.state, -1);
            way.pop();
            continue;
          }
          const code = codes[at.next++]!;
          world.play(code);
          const reached = store.intern(store.everything);
          store.restore();
          const place = reached === at.state ? -1 : places.get(reached);
          if (place === -1) continue;
          if (place === undefined) {
            places.set(reached, way.length);
            way.push({ state: reached, next: 0 });
            continue;
          }
          return this.#goingRound(way.slice(place).map(({ state }) => state));
        }
      }
    }
    throw new RangeError("no round was found among states that lead to each other");
  }

  /** @param round states, each of which leads to the next, and the last to the first. */
  #goingRound(round: readonly number[]): Exploration {
    const begin = round.indexOf(Math.min(...round));
    const path = this.#pathTo(round[begin]!);
    const states = [...path, ...round.slice(begin + 1), ...round.slice(0, begin + 1)];
    return this.#result(states, this.#world.properties.indexOf(this.#world.endless!), path.length - 1);
  }

  #result(path: readonly number[] | null, property: number, roundFrom: number | null = null): Exploration {
    const { states, transitions, depth, bytes } = this;
    return {
      states,
      transitions,
      depth,
      bytes,
      exhausted: path === null && this.#stopped === null,
      stopped: this.#stopped,
      counterexample:
        path === null
          ? null
          : { property: this.#world.properties[property]!, ...this.#movesAlong(path), roundFrom },
    };
  }

  #pathTo(state: number): number[] {
    const path: number[] = [];
    for (let at = state; at >= 0; at = this.#store.parent(at)) path.push(at);
    return path.reverse();
  }

  /** The moves that lead from each state to the next. */
  #movesAlong(path: readonly number[]): Pick<Counterexample, "moves" | "codes"> {
    const world = this.#world;
    const can = new Int32Array(world.mostMoves);
    const moves: Move[] = [];
    const codes: number[] = [];
    for (const [i, to] of path.slice(1).entries()) {
      this.#store.load(path[i]!);
      const count = world.moves(can);
      const code = can.subarray(0, count).find((each) => {
        world.play(each);
        const reached = this.#store.intern(this.#store.everything);
        this.#store.restore();
        return reached === to;
      });
      if (code === undefined) throw new RangeError(`no move leads from state ${path[i]} to state ${to}`);
      moves.push(world.describe(code));
      codes.push(code);
    }
    return { moves, codes };
  }
}

/** A search by one walker, at once. */
export function explore(world: World, options: SearchOptions = {}): Exploration {
  const search = new Search(world, options);
  const tasks = search.run();
  for (let task = tasks.next(); ;) {
    if (task.done === true) return task.value;
    task = tasks.next([search.walker.walk(task.value, Infinity, () => 0)]);
  }
}
