import { type Trial, type TrialResult, tryRequest as tried } from "@intremap/core";

/** Sends one request to one entry, and tells what becomes of it. @throws InputError */
export function tryRequest(trial: Trial): TrialResult {
  return tried(trial);
}
