/** In place of a step's number: the routine has come to its end. */
export const done = 0;

/** What became of a kernel that did not have a step. */
export interface Absence {
  /** The step that a routine goes on with if this one is left out. */
  readonly to: number;
  /** The real bug that its absence was. */
  readonly bug: string;
}

/**
 * One step of a protocol between threads, processors and devices that race: at most one atomic access to what they
 * share (granularity: the hardware's and the kernel's atomics), and work on the registers of its own thread.
 * @template S the state that the steps of a table work on: words that can be copied between any two steps.
 */
export interface Step<S> {
  /** The routine that it belongs to, by its symbol. */
  readonly routine: string;
  /** What it does, in one sentence. */
  readonly does: string;
  /**
   * It touches nothing that others read or write, unless they are kept out by a lock that it holds: when exactly it
   * happens, nobody can tell.
   */
  readonly local?: true;
  /** Only of a step that can be left out, to see what it is for. */
  readonly leftOut?: Absence;
  /**
   * @param frame the word at which the thread's registers begin.
   * @returns the number of the thread's next step; {@link done} at the end.
   */
  act(this: void, state: S, frame: number): number;
}

/** Numbers the steps of a table from 1, so that a thread's place in it is a small integer. */
export function numberSteps<const Id extends string>(ids: readonly Id[]): Readonly<Record<Id, number>> {
  return Object.fromEntries(ids.map((id, i) => [id, i + 1])) as Record<Id, number>;
}

/** A protocol: its steps by their numbers. Each is written here once; scenarios run them to the end, `verify` interleaves them. */
export class StepTable<S, Id extends string = string> {
  readonly ids: readonly Id[];
  /** The number of each step. */
  readonly at: Readonly<Record<Id, number>>;
  /** By number; the first is not used. */
  readonly steps: readonly Step<S>[];
  /** The ids that can be left out. */
  readonly removable: readonly Id[];

  constructor(ids: readonly Id[], steps: Readonly<Record<Id, Step<S>>>) {
    this.ids = ids;
    this.at = numberSteps(ids);
    this.steps = [nothing, ...ids.map((id) => steps[id])];
    this.removable = ids.filter((id) => steps[id].leftOut !== undefined);
  }

  /**
   * A thread does its steps until its routine ends, or goes on in another one.
   * @param from the number of its first step.
   * @returns the number of the step that it goes on with; {@link done} at the end.
   */
  run(state: S, frame: number, from: number): number {
    const { steps } = this;
    const { routine } = steps[from]!;
    let at = from;
    do at = steps[at]!.act(state, frame);
    while (at !== done && steps[at]!.routine === routine);
    return at;
  }

  /**
   * The same protocol with one step left out.
   * @throws RangeError when the step cannot be left out.
   */
  without(id: Id): StepTable<S, Id> {
    const absence = this.steps[this.at[id]]?.leftOut;
    if (absence === undefined) {
      throw new RangeError(`step ${id}: one of ${this.removable.join(", ")} was expected`);
    }
    const { to } = absence;
    const steps = Object.fromEntries(this.ids.map((each) => [each, this.steps[this.at[each]]!]));
    return new StepTable<S, Id>(this.ids, {
      ...(steps as Record<Id, Step<S>>),
      [id]: { ...this.steps[this.at[id]]!, act: () => to },
    });
  }
}

const nothing: Step<unknown> = { routine: "", does: "Nothing.", act: () => done };
