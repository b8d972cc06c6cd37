import type { Deed, Handed, Scene, Script, Sent, Sight } from "@intremap/core";
import { busAtFirst } from "./board.ts";
import type { Machine } from "./machine.ts";
import { Moves } from "./moves.ts";
import { driverMemory, marker } from "./places.ts";
import type { Traced } from "./trace.ts";
import type { FaultReader, Play, RegisterReader, SoFar } from "./unit-side.ts";

/** Programs under way at a time. */
const mostUnderWay = 6;
const lapicModes = { fixed: 0, lowest: 1, extInt: 7 } as const;

interface RegisterLook {
  readonly at: number;
  readonly width: 32 | 64;
  readonly read: RegisterReader;
}

/** Where a scene's results stand. */
interface SceneLook {
  readonly script: number;
  readonly faults: FaultReader;
  readonly registers: readonly RegisterLook[];
  readonly memory: readonly number[];
  /** What the unit's own messages are. */
  readonly own: Sent | undefined;
}

/** Puts scripts into accesses, and makes sights of what comes back. */
export class Player {
  readonly #machine: Machine;
  readonly #moves = new Moves();
  /** The number of the bus behind the root port. */
  #bus = busAtFirst;
  /** Of each function that has been enabled, the message that its table holds. */
  readonly #messages = new Map<number, string>();
  #own: Sent | undefined;
  /** Scenes of the program that is being put together. */
  #looks: SceneLook[] = [];
  /** What each script has seen so far. */
  readonly #seen = new Map<number, SoFar>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Runs scripts through as few programs as there can be. */
  async play(scripts: readonly Script[]): Promise<Sight[][]> {
    const sights: Sight[][] = scripts.map(() => []);
    const underWay: Promise<void>[] = [];
    this.#seen.clear();
    for (const [i, script] of scripts.entries()) {
      const play = this.#machine.side.begin(this.#machine.initial);
      for (const scene of script.scenes) this.#emit(scene, play, i);
      this.#restore(play);
      if (!this.#moves.full && i < scripts.length - 1) continue;
      const done = this.#run(sights);
      done.catch(() => {});
      underWay.push(done);
      if (underWay.length >= mostUnderWay) await underWay.shift();
    }
    for (const done of underWay) await done;
    this.#machine.readTrace();
    return sights;
  }

  /**
   * Runs one script, and looks at the processors' IRR after each scene.
   * @param before what IRR held beforehand.
   * @returns the sights, and what IRR holds now; the sights' IRR is null where a vector was handed that IRR held before.
   */
  async playWithApics(
    script: Script,
    before: readonly (readonly number[])[],
  ): Promise<{ sights: Sight[]; after: number[][] }> {
    const sights: Sight[][] = [[]];
    const play = this.#machine.side.begin(this.#machine.initial);
    this.#seen.clear();
    const held = new Set(before.flat());
    let after = before.map((vectors) => [...vectors]);
    let unclear = false;
    for (const scene of script.scenes) {
      this.#emit(scene, play, 0);
      await this.#run(sights);
      const sight = sights[0]!.at(-1)!;
      unclear ||= sight.handed.some((one) => setsRequest(one) && held.has(one.vector));
      if (!scene.apics) continue;
      after = await this.#machine.requests();
      const irr = after.map((vectors, id) => vectors.filter((vector) => !before[id]!.includes(vector)));
      sights[0]![sights[0]!.length - 1] = { ...sight, irr: unclear ? null : irr };
    }
    this.#restore(play);
    await this.#run(sights);
    return { sights: sights[0]!, after };
  }

  /** The machine has been reset. */
  forget(): void {
    this.#bus = busAtFirst;
    this.#messages.clear();
  }

  #emit(scene: Scene, play: Play, script: number): void {
    for (const deed of scene.deeds) this.#do(deed, play);
    const moves = this.#moves;
    const { base } = this.#machine.side;
    moves.copy(4, marker, driverMemory.sink);
    this.#looks.push({
      script,
      faults: play.look(moves),
      registers: scene.registers.map((place) => ({
        at: moves.fetch(place.width / 8, base + place.offset),
        width: place.width,
        read: play.reading(place, moves),
      })),
      memory: scene.memory.map((address) => moves.fetch(4, address)),
      own: this.#own,
    });
  }

  #do(deed: Deed, play: Play): void {
    const moves = this.#moves;
    switch (deed.does) {
      case "memory":
        moves.put(deed.words, deed.address);
        play.touched.add(deed.address, 4 * deed.words.length);
        play.stored(deed.address, deed.words);
        break;
      case "register": {
        const to = this.#machine.side.base + deed.offset;
        if (deed.width === 64) moves.put64(deed.value, to);
        else moves.put([Number(BigInt.asIntN(32, deed.value))], to);
        play.wrote(deed);
        break;
      }
      case "msi":
        play.requested();
        if (deed.requester === null) moves.put([deed.data], deed.address);
        else this.#send(deed.requester, deed.address, deed.data);
        break;
      case "ownMessage":
        this.#setOwnMessage({ address: deed.address, data: deed.data });
    }
  }

  #send(requester: number, address: number, data: number): void {
    const moves = this.#moves;
    const { board } = this.#machine;
    const bus = requester >>> 8;
    const one = requester & 0xff;
    const message = `${address} ${data}`;
    const held = this.#messages.get(one);
    if (held === undefined) {
      this.#renumber(busAtFirst);
      board.enable(one, moves);
    }
    this.#renumber(bus);
    if (held !== message) {
      moves.put([address, 0, data], board.table(one)!);
      this.#messages.set(one, message);
    }
    moves.copy(4, driverMemory.zeros, board.trigger(one));
  }

  #renumber(bus: number): void {
    if (bus === this.#bus) return;
    this.#moves.copy(1, driverMemory.bytes + bus, this.#machine.board.busNumber);
    this.#bus = bus;
  }

  #setOwnMessage(message: Sent | undefined): void {
    const at = this.#machine.ownCapability;
    const { address, data } = message ?? { address: BigInt(driverMemory.bell), data: 1 };
    this.#own = message;
    this.#moves.put64(address, at + 4);
    this.#moves.put([data], at + 12);
  }

  #restore(play: Play): void {
    if (this.#own !== undefined) this.#setOwnMessage(undefined);
    play.restore(this.#moves);
    play.touched.zero(this.#moves);
  }

  async #run(sights: Sight[][]): Promise<void> {
    const looks = this.#looks;
    this.#looks = [];
    const results = await this.#moves.run(this.#machine.qtest, this.#machine.board.start);
    this.#machine.readTrace();
    const { scenes } = this.#machine.trace;
    for (const look of looks) {
      const scene = scenes.shift();
      if (scene === undefined) throw this.#machine.confused("a scene has left no mark in the trace");
      sights[look.script]!.push(this.#sight(look, scene, results));
    }
  }

  #sight(look: SceneLook, traced: Traced, results: Buffer): Sight {
    const before = this.#seen.get(look.script);
    const seen: SoFar = {
      records: (before?.records ?? 0) + traced.records,
      ownMessages: (before?.ownMessages ?? 0) + traced.sent.filter((one) => one === null).length,
    };
    this.#seen.set(look.script, seen);
    return {
      sent: traced.sent.flatMap((one) => one ?? look.own ?? []),
      handed: traced.handed,
      faults: look.faults(results, seen.records),
      registers: look.registers.map(({ at, width, read }) =>
        read(width === 64 ? results.readBigUInt64LE(at) : BigInt(results.readUInt32LE(at)), {
          results,
          ...seen,
        }),
      ),
      memory: look.memory.map((at) => results.readUInt32LE(at)),
      irr: null,
    };
  }
}

/** Whether QEMU's APICs put what they were handed into IRR. */
function setsRequest({ deliveryMode }: Handed): boolean {
  const { fixed, lowest, extInt } = lapicModes;
  return deliveryMode === fixed || deliveryMode === lowest || deliveryMode === extInt;
}
