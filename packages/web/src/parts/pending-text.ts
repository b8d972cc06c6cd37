import type { TargetedEvent } from "preact";
import { useState } from "preact/hooks";

type InputEvent = TargetedEvent<HTMLInputElement>;

/** What a box needs for a text that counts when it is left, or with Enter. */
interface PendingText {
  readonly value: string;
  readonly onInput: (event: InputEvent) => void;
  readonly onChange: (event: InputEvent) => void;
  readonly onBlur: () => void;
}

/**
 * What is typed stands until it counts, whatever else changes on the page meanwhile.
 * @param text what the box shows when nobody types.
 */
export function usePendingText(text: string, take: (typed: string) => void): PendingText {
  const [typed, setTyped] = useState<string | null>(null);
  return {
    value: typed ?? text,
    onInput: ({ currentTarget }) => setTyped(currentTarget.value),
    onChange: ({ currentTarget: { value } }) => (setTyped(null), take(value)),
    onBlur: () => setTyped(null),
  };
}
