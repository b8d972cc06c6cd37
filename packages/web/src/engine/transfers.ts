const moved = new WeakMap<object, readonly ArrayBuffer[]>();

/** A task's result whose memory goes to the page instead of being copied: the worker has it no more. */
export function withTransfers<Result extends object>(
  result: Result,
  buffers: readonly ArrayBuffer[],
): Result {
  moved.set(result, buffers);
  return result;
}

export function transfersOf(result: unknown): readonly ArrayBuffer[] {
  return typeof result === "object" && result !== null ? (moved.get(result) ?? []) : [];
}
