import { type Field, type Value, hex } from "@intremap/core";
import { useId } from "preact/hooks";
import { Hint, useDraft } from "./draft.tsx";

interface FieldInputProps {
  readonly name: string;
  readonly field: Field;
  /** Of the value in bits, its scale included. */
  readonly width: number;
  readonly value: Value;
  /**
   * Takes the content that was chosen, or typed: then each digit goes on where the one before was.
   * @throws RangeError when it does not fit.
   */
  readonly onContent: (content: bigint, how: "push" | "replace") => void;
}

/** Fields of up to this many bits with named values are chosen from a list. */
const listedBits = 4;

/** One field's content: a bit to tick, a list of named values, or a number. */
export function FieldInput(props: FieldInputProps) {
  const { name, field, width, value, onContent } = props;
  if (width === 1 && field.values === undefined) {
    return (
      <input
        type="checkbox"
        aria-label={name}
        checked={value === 1}
        onChange={({ currentTarget }) => onContent(currentTarget.checked ? 1n : 0n, "push")}
      />
    );
  }
  if (field.values !== undefined && width <= listedBits) {
    const all = Array.from({ length: 1 << width }, (_, i) => i);
    return (
      <select
        aria-label={name}
        value={`${value}`}
        onChange={({ currentTarget }) => onContent(BigInt(currentTarget.value), "push")}
      >
        {all.map((one) => (
          <option key={one} value={one}>
            {one} {field.values?.[one] ?? "—"}
          </option>
        ))}
      </select>
    );
  }
  return <NumberInput {...props} />;
}

function printed(value: Value): string {
  return value < 10 ? `${value}` : hex(value);
}

/** Decimal; hex digits where there is a letter among them. @throws RangeError when it is no number. */
function readNumber(typed: string): bigint {
  const text = typed.trim();
  if (text.length > 80 || !/^(?:0x)?[0-9a-f]+$/i.test(text)) throw new RangeError("no number");
  return BigInt(/^\d+$/.test(text) || /^0x/i.test(text) ? text : `0x${text}`);
}

function NumberInput({ name, width, value, onContent }: FieldInputProps) {
  const help = useId();
  const { draft, wrong, type, leave } = useDraft(value, (typed) => {
    try {
      onContent(readNumber(typed), "replace");
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  });
  const takes = `${width} bits: decimal; hex with 0x or a letter`;
  return (
    <>
      <input
        class="mono"
        aria-label={name}
        aria-invalid={wrong !== null}
        aria-describedby={draft === null ? undefined : help}
        title={takes}
        spellcheck={false}
        autocomplete="off"
        style={{ width: `${Math.min(Math.max(Math.ceil(width / 4) + 4, 6), 24)}ch` }}
        value={draft ?? printed(value)}
        onInput={({ currentTarget }) => type(currentTarget.value)}
        onBlur={leave}
      />
      {draft === null ? null : (
        <Hint id={help} wrong={wrong}>
          {takes}
        </Hint>
      )}
    </>
  );
}
