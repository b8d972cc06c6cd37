import type { RegisterPlace, RegisterWrite, Script } from "@intremap/core";
import type { Moves } from "./moves.ts";
import type { Touched } from "./touched.ts";

/** What a vendor's unit asks for beyond plain accesses. */
export interface UnitSide {
  /** Where its registers lie. */
  readonly base: number;
  /** Bytes of registers that are restored by what they were after reset. */
  readonly registerBytes: number;
  /** Why a script cannot be run. */
  refusal(script: Script): string | undefined;
  /** Whether a script can tell a machine that was put back as it was from one that was reset. */
  wantsReset(script: Script): boolean;
  /** A script starts. @param initial the registers as they are after reset. */
  begin(initial: Buffer): Play;
}

/** What has to be known of one script while it is put into accesses. */
export interface Play {
  /** Memory that is no longer zero. */
  readonly touched: Touched;
  /** A CPU's store has been made. */
  stored(address: number, words: readonly number[]): void;
  /** A register has been written. */
  wrote(write: RegisterWrite): void;
  /** A device has sent a request. */
  requested(): void;
  /** Fetches the fault or event records. @returns what makes them of the results. */
  look(moves: Moves): FaultReader;
  /** What a register that is now fetched must be read as; fetches what that takes. */
  reading(place: RegisterPlace, moves: Moves): RegisterReader;
  /** Puts the unit's registers back as they are after reset; the memory that is not zero is told to `touched`. */
  restore(moves: Moves): void;
}

/** @param records how many fault records have been written since the script started. */
export type FaultReader = (results: Buffer, records: number) => bigint[];
export type RegisterReader = (value: bigint, seen: SoFar & { readonly results: Buffer }) => bigint;

/** What has been traced since the script started. */
export interface SoFar {
  /** Fault records that were written. */
  readonly records: number;
  /** Messages of the AMD unit's own that local APICs were handed. */
  readonly ownMessages: number;
}

export const asRead: RegisterReader = (value) => value;
