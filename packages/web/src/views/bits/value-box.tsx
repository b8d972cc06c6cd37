import { useId } from "preact/hooks";
import { Hint, useDraft } from "./draft.tsx";

interface ValueBoxProps {
  readonly text: string;
  /** What may be typed, in words. */
  readonly takes: string;
  /** Takes what was typed; gives what is wrong with it, or null. */
  readonly onText: (text: string) => string | null;
}

/** The whole value as hex digits: what is typed counts at once, or is told what it lacks. */
export function ValueBox({ text, takes, onText }: ValueBoxProps) {
  const { draft, wrong, type, leave } = useDraft(text, onText);
  const box = useId();
  const help = useId();
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
        onBlur={leave}
      />
      <Hint id={help} wrong={wrong}>
        {takes}
      </Hint>
    </div>
  );
}
