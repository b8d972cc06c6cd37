import type { Row, Violation } from "../spec/codec.ts";
import type { Layout } from "../spec/layout.ts";

/** A number, or `0x…` text where a number would not be exact (past 2^53). */
export type FieldValue = number | string;

/** A row of the printed table. */
export type DecodedRow = Omit<Row, "value"> & { readonly value: FieldValue };

/** Another way in which the same value is read, by other hardware or under another setting. */
export interface Reading {
  /** Who reads it so. */
  readonly as: string;
  readonly fields: Readonly<Record<string, FieldValue>>;
}

/** A part of what was given: a layout and the value that it describes. */
export interface Part {
  readonly layout: Layout;
  readonly value: bigint;
  /** Stands before the bits where there are several parts: `address`, `data`. */
  readonly label?: string;
}

/** What a kind makes of its values. */
export interface Shape {
  readonly mode: string | null;
  readonly parts: readonly Part[];
  /** Values that follow from several fields; they come last. */
  readonly derived?: readonly DecodedRow[];
  /** In place of holding every part against its layout. */
  readonly violations?: readonly Violation[];
  readonly readings?: readonly Reading[];
  readonly notes?: readonly string[];
}
