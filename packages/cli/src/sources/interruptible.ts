const signals = ["SIGINT", "SIGTERM"] as const;

/**
 * Does long work that leaves Node no room to call anybody: while it runs, a signal that would end it does so by itself,
 * and not through a listener that would be called when the work is done.
 */
export function interruptible<Result>(work: () => Result): Result {
  const listening = signals.map((signal) => ({ signal, listeners: process.listeners(signal) }));
  for (const { signal } of listening) process.removeAllListeners(signal);
  try {
    return work();
  } finally {
    for (const { signal, listeners } of listening) {
      for (const listener of listeners) process.on(signal, listener);
    }
  }
}
