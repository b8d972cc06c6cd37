import { type FollowedInterrupt, type WalkStep, followedSteps } from "@intremap/core";

/** A host's interrupt that was followed, as steps of Path. */
export function walkFollowed(interrupt: FollowedInterrupt): WalkStep[] {
  return followedSteps(interrupt);
}
