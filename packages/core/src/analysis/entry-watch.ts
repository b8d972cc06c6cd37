import { type Observer, eventKinds } from "../hardware/event.ts";

/** Keeps the last entry that a unit looked at, while it is told to. */
export class EntryWatch implements Observer {
  watching = false;
  seen = false;
  index = 0;
  cached = false;
  readonly words = new Int32Array(4);

  record(
    kind: number,
    index: number,
    hit: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
  ): void {
    if (!this.watching || kind !== eventKinds.entry) return;
    this.seen = true;
    this.index = index;
    this.cached = hit === 1;
    this.words[0] = word0;
    this.words[1] = word1;
    this.words[2] = word2;
    this.words[3] = word3;
  }
}
