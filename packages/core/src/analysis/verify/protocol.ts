import type { ToldWorld } from "./world.ts";

/** How much there is of what races, and how often each vCPU meets what does not come back. */
export interface Size {
  readonly vcpus: number;
  readonly cpus: number;
  /** Interrupts of devices; in plays with other senders, all that are sent. */
  readonly posts: number;
  /** Times that a vCPU's thread loses its CPU against its will; this and the next two for each vCPU. */
  readonly preemptions: number;
  /** Times that its guest executes HLT. */
  readonly halts: number;
  /** Times that its thread gets another CPU than the one it had. */
  readonly migrations: number;
}

/** What `verify` explores unless told. */
export const baseSize: Size = { vcpus: 1, cpus: 2, posts: 2, preemptions: 1, halts: 1, migrations: 1 };

/** The least and the most of each. */
export const sizeBounds: Readonly<Record<keyof Size, readonly [from: number, to: number]>> = {
  vcpus: [1, 4],
  cpus: [1, 4],
  posts: [0, 6],
  preemptions: [0, 3],
  halts: [0, 3],
  migrations: [0, 3],
};

/** A step that can be left out. */
export interface Removable {
  /** Its id in the table. */
  readonly id: string;
  readonly does: string;
  /** The real bug that its absence was. */
  readonly bug: string;
  /** The play, by its name, in which the bug shows. */
  readonly play: string;
}

/** What happens beside vCPUs and their scheduler. */
export interface PlayTitle {
  readonly name: string;
  /** One line, without a full stop. */
  readonly title: string;
  /** It is explored when none is asked for. */
  readonly byDefault: boolean;
}

/** A vendor's way of posting, ready to be explored. */
export interface Protocol {
  readonly vendor: "intel" | "amd";
  readonly removable: readonly Removable[];
  readonly plays: readonly PlayTitle[];
  /**
   * The same from the same arguments, always: several threads explore one world, each with its own copy.
   * @param play the name of one of {@link plays}.
   * @param without the id of one of {@link removable}.
   * @throws RangeError, in one line, for a play, size or step that it does not have.
   */
  world(play: string, size: Size, without?: string): ToldWorld;
}
