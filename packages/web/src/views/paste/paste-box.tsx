import { textLimit } from "@intremap/core";
import { useEffect, useRef, useState } from "preact/hooks";
import { Notice } from "../../parts/notice.tsx";
import type { Pasted } from "../../state/paste.ts";
import { many } from "../../parts/words.ts";

/** Typing has paused when nothing came for so long, in milliseconds. */
const pause = 250;
/** Longer text is not put into the box. */
const shownText = 200_000;

/** As many as the text has, within reason. */
function rowsFor(given: Pasted | null): number {
  if (given?.kind !== "text") return 8;
  const lines = given.text.split("\n", 12).length;
  return Math.max(3, lines + 1);
}

/** What stands in place of the box where something is given that it does not show; null for a text in the box. */
export function heldAs(given: Pasted | null): string | null {
  if (given === null || (given.kind === "text" && given.text.length <= shownText)) return null;
  return given.kind === "file"
    ? `${given.file.name}, ${many(given.file.size, "byte")}`
    : `${many(given.text.length, "character")} of text`;
}

interface PasteBoxProps {
  readonly given: Pasted | null;
  /** @param typed it goes on where one is. */
  readonly onGiven: (given: Pasted | null, typed: boolean) => void;
  /** Opens what this text is where it is best looked at. */
  readonly onOpen: (text: string) => void;
}

/** Where anything is given to the page: typed, pasted, dropped or chosen. */
export function PasteBox({ given, onGiven, onOpen }: PasteBoxProps) {
  const [wrong, setWrong] = useState("");
  const [over, setOver] = useState(false);
  const choice = useRef<HTMLInputElement>(null);
  const [draft, setDraft] = useState<string | null>(null);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const takeText = (text: string, typed: boolean): void => {
    clearTimeout(timer.current);
    setDraft(null);
    setWrong("");
    if (text.length > textLimit) {
      const size = Math.round(text.length / 1e6).toLocaleString("en");
      setWrong(`${size} million characters are more than a page takes at once: give them as a file.`);
    } else onGiven(text === "" ? null : { kind: "text", text }, typed);
  };
  const type = (text: string): void => {
    setDraft(text);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => takeText(text, true), pause);
  };
  const takeFile = (file: File | undefined): void => {
    clearTimeout(timer.current);
    setDraft(null);
    setWrong("");
    if (file !== undefined) onGiven({ kind: "file", file }, false);
  };
  const held = heldAs(given);
  const open = (text: string): void => {
    if (draft !== null) takeText(text, true);
    onOpen(text);
  };
  return (
    <div
      class={`paste-box${over ? " over" : ""}`}
      onDragOver={(event) => (event.preventDefault(), setOver(true))}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const text = event.dataTransfer?.getData("text/plain") ?? "";
        if (event.dataTransfer?.files.length) takeFile(event.dataTransfer.files[0]);
        else if (text !== "") takeText(text, false);
      }}
    >
      {wrong === "" ? null : (
        <Notice kind="large" title="This is too much">
          {wrong}
        </Notice>
      )}
      {held === null ? (
        <textarea
          class="mono"
          aria-label="What a machine printed"
          rows={rowsFor(given)}
          spellcheck={false}
          placeholder="A line of dmesg, an IRTE, an MSI pair, a debugfs table, lspci, a DMAR or IVRS hexdump, a QEMU trace …"
          value={draft ?? (given?.kind === "text" ? given.text : "")}
          onInput={({ currentTarget }) => type(currentTarget.value)}
          onPaste={(event) => {
            const { value } = event.currentTarget;
            const text = event.clipboardData?.getData("text/plain") ?? "";
            // What is long, or all there is, is taken whole; the rest is typing.
            if (text === "" || (value !== "" && text.length <= shownText)) return;
            event.preventDefault();
            takeText(text, false);
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && event.ctrlKey) open(event.currentTarget.value);
          }}
        />
      ) : (
        <p class="held">{held}</p>
      )}
      <p class="buttons">
        <button type="button" onClick={() => choice.current?.click()}>
          Choose a file…
        </button>
        {given === null ? null : (
          <button type="button" onClick={() => takeText("", false)}>
            Clear
          </button>
        )}
        <span class="faint">
          or drop one here: a trace, a firmware table, an archive, a dump. Your browser reads it.
        </span>
      </p>
      <input
        ref={choice}
        type="file"
        hidden
        aria-label="A file"
        onChange={({ currentTarget }) => takeFile(currentTarget.files?.[0])}
      />
    </div>
  );
}
