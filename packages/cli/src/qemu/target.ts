import { InputError, type Script, type Sight, type Target, type Vendor } from "@intremap/core";
import { functionsFor } from "./board.ts";
import { Machine, processors } from "./machine.ts";
import { isDriverless } from "./places.ts";
import { Player } from "./player.ts";
import { type QemuVersion, askVersion } from "./version.ts";

/** Milliseconds without an answer after which a QEMU is taken to hang. */
const patience = 30_000;
const requesters: readonly number[] = [
  0x18, 0x19, 0x20, 0x21, 0x22, 0x27, 0x100, 0x118, 0x2ff, 0x1230, 0x1234, 0x1235, 0x3c3c, 0xff80,
];
const mostMoves = 40_000;

/** A QEMU and who plays on it. */
interface Seat {
  readonly machine: Machine;
  readonly player: Player;
  /** What IRR of each processor holds; undefined if it is not known. */
  requests: number[][] | undefined;
}

export interface QemuOptions {
  /** Milliseconds. */
  readonly patience?: number;
}

/** A real QEMU of one vendor, on which scripts are run. */
export class QemuTarget implements Target {
  readonly name: string;
  readonly vendor: Vendor;
  readonly profile: string;
  readonly processors: number = processors;
  /** Low bytes of the requester ids that it can send from. */
  readonly functions: readonly number[];
  /** Requester ids that suit generated cases: neighbours, and strangers. */
  readonly requesters: readonly number[];
  readonly #version: QemuVersion;
  readonly #patience: number;
  readonly #fast: Seat;
  /** For scripts that look at local APICs, whose state lasts until a reset. */
  #looked: Promise<Seat> | undefined;
  /** For the next script that can tell a machine that was put back from a new one. */
  #spare: Promise<Seat> | undefined;
  #stopped = false;
  /** Ends of what was asked for last, on {@link #fast} and on the others. */
  #fastEnd: Promise<unknown> = Promise.resolve();
  #slowEnd: Promise<unknown> = Promise.resolve();

  private constructor(version: QemuVersion, vendor: Vendor, patience: number, fast: Seat) {
    this.name = version.name;
    this.vendor = vendor;
    this.profile = profileOf(version, vendor);
    this.functions = functionsFor(vendor);
    this.requesters = requesters;
    this.#version = version;
    this.#patience = patience;
    this.#fast = fast;
  }

  /**
   * Starts a QEMU.
   * @throws InputError when there is none, it is of a version that cannot be driven, or it does not start.
   */
  static async start(path: string, vendor: Vendor, options: QemuOptions = {}): Promise<QemuTarget> {
    const wait = options.patience ?? patience;
    const version = await askVersion(path, wait);
    return new QemuTarget(version, vendor, wait, await take(version, vendor, wait));
  }

  refusal(script: Script): string | undefined {
    let moves = 0;
    for (const { deeds, memory, registers } of script.scenes) {
      moves += 3 * deeds.length + memory.length + registers.length;
      for (const deed of deeds) {
        if (deed.does === "memory" && !isDriverless(deed.address, 4 * deed.words.length))
          return "memory that the machine lacks";
        if (deed.does === "msi" && deed.requester !== null && !this.functions.includes(deed.requester & 0xff))
          return "a requester that the machine lacks";
      }
      if (!memory.every((address) => isDriverless(address, 4))) return "memory that the machine lacks";
    }
    if (moves > mostMoves) return "a case of very many steps";
    return this.#fast.machine.side.refusal(script);
  }

  async run(scripts: readonly Script[]): Promise<readonly (readonly Sight[])[]> {
    const { side } = this.#fast.machine;
    const slow = new Set<number>();
    for (const [i, script] of scripts.entries())
      if (script.scenes.some(({ apics }) => apics) || side.wantsReset(script)) slow.add(i);
    const ofFast = this.#fastEnd.then(() => this.#fast.player.play(scripts.filter((_, i) => !slow.has(i))));
    const ofOthers = this.#slowEnd.then(() => this.#runSlow(scripts.filter((_, i) => slow.has(i))));
    this.#fastEnd = ofFast.catch(() => {});
    this.#slowEnd = ofOthers.catch(() => {});
    const [fast, others] = await Promise.all([ofFast, ofOthers]);
    let at = 0;
    let atOther = 0;
    return scripts.map((_, i) => (slow.has(i) ? others[atOther++]! : fast[at++]!));
  }

  /** Ends every QEMU that was started. */
  stop(): void {
    this.#stopped = true;
    this.#fast.machine.stop();
    for (const seat of [this.#looked, this.#spare]) {
      seat?.then(
        ({ machine }) => machine.stop(),
        () => {},
      );
    }
  }

  async #runSlow(scripts: readonly Script[]): Promise<Sight[][]> {
    const sights: Sight[][] = [];
    for (const script of scripts) {
      const { side } = this.#fast.machine;
      sights.push(await (side.wantsReset(script) ? this.#runOnNew(script) : this.#runLooking(script)));
    }
    return sights;
  }

  async #runOnNew(script: Script): Promise<Sight[]> {
    const seat = await (this.#spare ?? this.#take());
    try {
      // The next one starts while this one is used.
      this.#spare = this.#take();
      this.#spare.catch(() => {});
      return await this.#play(seat, script);
    } finally {
      seat.machine.stop();
    }
  }

  async #runLooking(script: Script): Promise<Sight[]> {
    this.#looked ??= this.#take();
    const seat = await this.#looked;
    const sights = await this.#play(seat, script);
    if (sights.every(({ irr }, i) => irr !== null || !script.scenes[i]!.apics)) return sights;
    // A vector that IRR held already says nothing when it is held afterwards.
    await seat.machine.reset();
    seat.player.forget();
    seat.requests = undefined;
    return this.#play(seat, script);
  }

  async #play(seat: Seat, script: Script): Promise<Sight[]> {
    const before = (seat.requests ??= await seat.machine.requests());
    const { sights, after } = await seat.player.playWithApics(script, before);
    seat.requests = after;
    return sights;
  }

  async #take(): Promise<Seat> {
    const seat = await take(this.#version, this.vendor, this.#patience);
    if (!this.#stopped) return seat;
    seat.machine.stop();
    throw new InputError(`${this.name}: stopped`);
  }
}

async function take(version: QemuVersion, vendor: Vendor, patience: number): Promise<Seat> {
  const machine = await Machine.start(version, vendor, patience);
  return { machine, player: new Player(machine), requests: undefined };
}

function profileOf({ major, minor }: QemuVersion, vendor: Vendor): string {
  const family = vendor === "intel" ? "vtd-qemu" : "amdvi-qemu";
  if (major === 7) return `${family}-7.2`;
  return major === 10 && minor === 0 ? `${family}-10.0` : `${family}-11.1`;
}
