import { type HostState, InputError } from "@intremap/core";

let kept: HostState | undefined;

/** Keeps a host for the tasks that ask about it; null lets it go. */
export function keepHost(host: HostState | null): { readonly source: string } {
  kept = host ?? undefined;
  return { source: host?.source ?? "" };
}

/** @throws InputError when none has been opened, or the engine was stopped since. */
export function keptHost(): HostState {
  if (kept === undefined) throw new InputError("no host is open: open it again");
  return kept;
}
