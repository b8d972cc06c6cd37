import type { RegisterName } from "../../spec/amdvi/registers.ts";
import type { TableEntry } from "./amdvi-setup.ts";
import type { RegisterWrite } from "./register-shapes.ts";
import type { Happenings } from "./subject.ts";

export interface Request {
  readonly address?: number;
  readonly data: number;
  /** Null: not known. */
  readonly requester?: number | null;
}

type Done = Happenings | void;

/** What the steps of an AMD-Vi case ask for; what came of it, where somebody keeps account of that. */
export interface AmdviActor {
  request(one: Request): Done;
  /** An access to the interrupt range that is no interrupt message. */
  malformed(address: number): Done;
  write(one: RegisterWrite<RegisterName>): Done;
  submit(commands: readonly bigint[]): Done;
  writeDevices(devices: readonly (readonly [number, bigint])[]): void;
  writeEntries(entries: readonly (readonly [number, TableEntry])[]): void;
  writeMemory(words: readonly (readonly [number, number])[]): void;
  injectError(address: number, length: number): void;
  heal(): void;
}
