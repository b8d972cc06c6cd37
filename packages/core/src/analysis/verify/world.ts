/**
 * Everything that races, as one state of 32-bit words that can be copied between any two moves. A world is explored by
 * loading a state, asking what can happen, and letting each of it happen in turn.
 */
export interface World {
  /** The state that {@link moves}, {@link play} and {@link wrong} are about; the explorer copies into and out of it. */
  readonly words: Int32Array;
  /** Words that differ between states that can be reached, in ascending order: the others need not be kept. */
  readonly live: readonly number[];
  /** What must not be, in the order of the bits of {@link wrong}. */
  readonly properties: readonly string[];
  /**
   * Everything that can happen next.
   * @param codes takes a number for each; large enough for {@link mostMoves}.
   * @returns how many there are.
   */
  moves(codes: Int32Array): number;
  readonly mostMoves: number;
  /** Lets one of the moves happen. */
  play(code: number): void;
  /** The properties that the state breaks, as far as one state tells: a bit for each of {@link properties}. */
  wrong(): number;
  /** A move in words, for a counterexample; the state is the one before the move. */
  describe(code: number): Move;
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
}
