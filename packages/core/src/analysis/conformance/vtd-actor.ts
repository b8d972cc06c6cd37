import type { RegisterName } from "../../spec/vtd/registers.ts";
import type { RegisterWrite } from "./register-shapes.ts";
import type { Happenings } from "./subject.ts";

export interface Request {
  readonly address: number;
  readonly data?: number;
  /** Null: not known. */
  readonly requester?: number | null;
}

export interface Access {
  readonly kind: "read" | "write";
  readonly address: number;
  readonly length: number;
  readonly data?: number;
  readonly pasid?: number;
  readonly requester?: number;
}

export interface Sweep {
  readonly shv: 0 | 1;
  readonly subhandle: number;
}

type Done = Happenings | void;

/** What the steps of a VT-d case ask for; what came of it, where somebody keeps account of that. */
export interface VtdActor {
  request(one: Request): Done;
  access(one: Access): Done;
  sweep(one: Sweep): Done;
  write(one: RegisterWrite<RegisterName>): Done;
  command(change: Readonly<Record<string, 0 | 1>>): Done;
  clearRecord(record: number): Done;
  submit(descriptors: readonly bigint[]): Done;
  writeEntries(entries: readonly (readonly [number, bigint])[]): void;
  writeDescriptors(descriptors: readonly (readonly [number, bigint])[]): void;
  writeMemory(words: readonly (readonly [number, number])[]): void;
  flush(address: number, length: number): void;
  injectError(address: number, length: number): void;
  heal(): void;
}
