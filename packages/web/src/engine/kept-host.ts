import { type HostState, InputError } from "@intremap/core";

let kept: HostState | undefined;

/** Keeps a host for the tasks that ask about it. */
export function keepHost(host: HostState): void {
  kept = host;
}

export function letHostGo(): void {
  kept = undefined;
}

/** @throws InputError when none has been opened, or the engine was stopped since. */
export function keptHost(): HostState {
  if (kept === undefined) throw new InputError("no host is open: open it again");
  return kept;
}
