import type { Seen } from "./seen.ts";

/**
 * Everything that races, as one state of 32-bit words that can be copied between any two moves. A world is explored by
 * loading a state, asking what can happen, and letting each of it happen in turn.
 */
export interface World {
  /** The state that {@link moves}, {@link play} and {@link wrong} are about; the explorer copies into and out of it. */
  readonly words: Int32Array;
  /** Words that differ between states that can be reached, in ascending order: the others need not be kept. */
  readonly live: readonly number[];
  /**
   * The live words, put together by what changes together: a part that has been seen before is one number. Runs of
   * neighbouring words unless told; at most 30 parts.
   */
  readonly parts?: readonly (readonly number[])[];
  /** For each part, whether {@link pack} makes one word of it; of none unless told. */
  readonly packs?: readonly boolean[];
  /** A part in one word, which is another one for every other state of the part that can be reached. */
  pack?(part: number): number;
  /** Writes the words of a part from what {@link pack} has made of them. */
  unpack?(part: number, packed: number): void;
  /** What must not be, in the order of the bits of {@link wrong}. */
  readonly properties: readonly string[];
  /**
   * The property that moves break which lead from a state back to it, by way of others. Without one nobody looks for
   * that. A move that changes nothing leads nowhere.
   */
  readonly endless?: string;
  /**
   * Everything that can happen next.
   * @param codes takes a number for each; large enough for {@link mostMoves}.
   * @returns how many there are.
   */
  moves(codes: Int32Array): number;
  readonly mostMoves: number;
  /** Lets one of the moves happen. */
  play(code: number): void;
  /** A bit for each of {@link parts} that a move may change; all of them unless told. */
  touches?(code: number): number;
  /** The properties that the state breaks, as far as one state tells: a bit for each of {@link properties}. */
  wrong(): number;
  /** A move in words, for a counterexample; the state is the one before the move. */
  describe(code: number): Move;
}

/** A world whose moves can be told with what they bring about. */
export interface ToldWorld extends World {
  /** What one sees of the state. */
  look(): readonly Seen[];
  /** Takes what moves send to others, while somebody wants to know; null for nobody. */
  heard: Signal[] | null;
}

/** What a move sends: an interrupt to a CPU, a doorbell, a vector to a vCPU's APIC, a wake-up. */
export interface Signal {
  /** `cpu 1`, `vcpu 0`. */
  readonly to: string;
  /** `F2h`, `doorbell`. */
  readonly what: string;
}

/** One move of a counterexample. */
export interface Move {
  /** Who moves: `device 0`, `vcpu 0`, `cpu 1`, `kvm`. */
  readonly actor: string;
  /** The step's id in its table, or the scheduler's or guest's doing: `guest halts`. */
  readonly step: string;
  /** The routine that the step belongs to, by its symbol. */
  readonly routine: string;
  /** One sentence: what is done. */
  readonly does: string;
  /** Steps that follow in the same move, since nobody can tell when they happen. */
  readonly rest?: readonly { readonly step: string; readonly does: string }[];
}
