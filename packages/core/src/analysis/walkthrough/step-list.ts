import type { WalkStep } from "./step.ts";

/** Steps of a run: no more than a number of them, the first of each episode. */
export class StepList {
  readonly steps: WalkStep[] = [];
  /** Steps that there was no room for. */
  leftOut = 0;
  episode = 0;
  readonly #limit: number;
  #toCome: number;
  #end = 0;

  /** @param episodes how many there will be: each may have what those before it left, shared out evenly. */
  constructor(limit: number, episodes: number) {
    this.#limit = limit;
    this.#toCome = episodes;
  }

  begin(episode: number): void {
    this.episode = episode;
    const room = this.#limit - this.steps.length;
    this.#end = this.steps.length + Math.ceil(room / Math.max(1, this.#toCome));
    this.#toCome -= 1;
  }

  /** Whether there is room for this many more steps of the episode. */
  has(room: number): boolean {
    return this.steps.length + room <= this.#end;
  }

  /** There is no room for what comes next: nothing of the episode is kept from here on. */
  close(): void {
    this.#end = Math.min(this.#end, this.steps.length);
  }

  add(step: WalkStep): void {
    if (this.has(1)) this.steps.push(step);
    else this.leftOut++;
  }
}
