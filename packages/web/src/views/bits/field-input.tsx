import { type Field, type Value, hex } from "@intremap/core";
import { useEffect, useState } from "preact/hooks";

interface FieldInputProps {
  readonly name: string;
  readonly field: Field;
  /** Of the value in bits, its scale included. */
  readonly width: number;
  readonly value: Value;
  /** Takes the content that was chosen or typed. @throws RangeError when it does not fit. */
  readonly onContent: (content: bigint) => void;
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
        onChange={({ currentTarget }) => onContent(currentTarget.checked ? 1n : 0n)}
      />
    );
  }
  if (field.values !== undefined && width <= listedBits) {
    const all = Array.from({ length: 1 << width }, (_, i) => i);
    return (
      <select
        aria-label={name}
        value={`${value}`}
        onChange={({ currentTarget }) => onContent(BigInt(currentTarget.value))}
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

function NumberInput({ name, width, value, onContent }: FieldInputProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  useEffect(() => {
    setWrong(null);
  }, [value]);
  const type = (typed: string): void => {
    setDraft(typed);
    try {
      if (!/^(?:0x[0-9a-f]+|\d+)$/i.test(typed.trim()) || typed.length > 80)
        throw new RangeError("no number");
      onContent(BigInt(typed.trim()));
      setWrong(null);
    } catch (error) {
      setWrong((error as Error).message);
    }
  };
  return (
    <input
      class="mono"
      aria-label={name}
      aria-invalid={wrong !== null}
      title={wrong ?? `${width} bits: decimal, or 0x and hex digits`}
      spellcheck={false}
      autocomplete="off"
      style={{ width: `${Math.min(Math.max(Math.ceil(width / 4) + 4, 6), 24)}ch` }}
      value={draft ?? printed(value)}
      onInput={({ currentTarget }) => type(currentTarget.value)}
      onBlur={() => (setDraft(null), setWrong(null))}
    />
  );
}
