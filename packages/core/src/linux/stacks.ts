import type { Kernel } from "./kernel.ts";

/** The kernel's frames at each entry to a function while something runs, innermost first, with how often each came. */
export function stacksAt(k: Kernel, symbol: string, action: () => void): { frames: string; count: number }[] {
  const found = new Map<string, number>();
  const before = k.calls.listener;
  k.calls.listener = {
    entered: ({ name }) => {
      if (name !== symbol) return;
      const frames = k.calls.frames("kernel").join(" ");
      found.set(frames, (found.get(frames) ?? 0) + 1);
    },
    left: () => {},
  };
  try {
    action();
  } finally {
    k.calls.listener = before;
  }
  return [...found].map(([frames, count]) => ({ frames, count }));
}
