import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

/** A text that is being typed, which counts at once where it can. */
interface Draft {
  /** What stands in the box; null while nobody types. */
  readonly draft: string | null;
  /** Why it does not count. */
  readonly wrong: string | null;
  readonly type: (typed: string) => void;
  readonly leave: () => void;
}

/**
 * @param current what the box shows when nobody types.
 * @param take takes what was typed; gives what is wrong with it, or null.
 */
export function useDraft(current: unknown, take: (typed: string) => string | null): Draft {
  const [draft, setDraft] = useState<string | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  useEffect(() => {
    setWrong(null);
  }, [current]);
  return {
    draft,
    wrong,
    type: (typed) => (setDraft(typed), setWrong(take(typed))),
    leave: () => (setDraft(null), setWrong(null)),
  };
}

interface HintProps {
  readonly id: string;
  readonly wrong: string | null;
  /** What may be typed, in words. */
  readonly children: ComponentChildren;
}

/** Beside a box: what it takes, or why it does not take what was typed. */
export function Hint({ id, wrong, children }: HintProps) {
  return (
    <span id={id} class={wrong === null ? "hint" : "hint wrong"} role={wrong === null ? undefined : "alert"}>
      {wrong ?? children}
    </span>
  );
}
