import { usePendingText } from "./pending-text.ts";

/** Takes what was typed into the address; undefined takes it out. */
type OnText = (values: Readonly<Record<string, string | undefined>>) => void;

interface RequestTextProps {
  readonly label: string;
  /** In the address. */
  readonly name: string;
  readonly text: string;
  /** What stands for an empty one; without it there is none. */
  readonly usual?: string;
  readonly onText: OnText;
}

/** A text of a request: it counts when it is left, or with Enter. */
export function RequestText({ label, name, text, usual, onText }: RequestTextProps) {
  const pending = usePendingText(text, (typed) => {
    const whole = typed.trim();
    if (whole !== "" || usual !== undefined) onText({ [name]: whole === "" ? undefined : whole });
  });
  const length = text === "" ? (usual?.length ?? 0) : text.length;
  return (
    <label>
      {label}
      <input
        class="mono"
        spellcheck={false}
        autocomplete="off"
        {...pending}
        placeholder={usual}
        style={{ width: `${Math.min(Math.max(length, 6) + 3, 44)}ch` }}
      />
    </label>
  );
}

/** What of a request lies in memory beside its entry, where it can be given. */
export function MemoryTexts({
  descriptor,
  deviceEntry,
  onText,
}: {
  readonly descriptor: string | null;
  readonly deviceEntry: string | null;
  readonly onText: OnText;
}) {
  return (
    <>
      {descriptor === null ? null : (
        <RequestText
          label="Descriptor"
          name="pid"
          text={descriptor}
          usual="a descriptor of zeros"
          onText={onText}
        />
      )}
      {deviceEntry === null ? null : (
        <RequestText
          label="Device's entry"
          name="dte"
          text={deviceEntry}
          usual="one that remaps"
          onText={onText}
        />
      )}
    </>
  );
}
