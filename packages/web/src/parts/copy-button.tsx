import { useState } from "preact/hooks";

/** Copies a text; says so for a moment. */
export function CopyButton({
  label,
  text,
}: {
  readonly label: string;
  /** What is long is made when it is wanted. */
  readonly text: string | (() => string);
}) {
  const [said, setSaid] = useState("");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : text());
      setSaid("copied");
    } catch {
      setSaid("the browser refused");
    }
    setTimeout(() => setSaid(""), 1500);
  };
  return (
    <button type="button" onClick={() => void copy()}>
      {label}
      <span role="status">{said === "" ? "" : ` — ${said}`}</span>
    </button>
  );
}
