import { useEffect, useId, useState } from "preact/hooks";

interface ValueBoxProps {
  readonly text: string;
  /** What may be typed, in words. */
  readonly takes: string;
  /** Takes what was typed; gives what is wrong with it, or null. */
  readonly onText: (text: string) => string | null;
}

/** The whole value as hex digits: what is typed counts at once, or is told what it lacks. */
export function ValueBox({ text, takes, onText }: ValueBoxProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const box = useId();
  const help = useId();
  useEffect(() => {
    setWrong(null);
  }, [text]);
  const type = (typed: string): void => {
    setDraft(typed);
    setWrong(onText(typed));
  };
  return (
    <div class="bits-hex">
      <label for={box}>Value</label>
      <input
        id={box}
        class="mono"
        spellcheck={false}
        autocomplete="off"
        value={draft ?? text}
        style={{ width: `${Math.min(text.length + 3, 78)}ch` }}
        aria-invalid={wrong !== null}
        aria-describedby={help}
        onInput={({ currentTarget }) => type(currentTarget.value)}
        onBlur={() => (setDraft(null), setWrong(null))}
      />
      <span
        id={help}
        class={wrong === null ? "hint" : "hint wrong"}
        role={wrong === null ? undefined : "alert"}
      >
        {wrong ?? takes}
      </span>
    </div>
  );
}
