import { textLimit } from "@intremap/core";
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import type { HostInput } from "../../engine/host-input.ts";
import { CopyButton } from "../../parts/copy-button.tsx";
import { Notice } from "../../parts/notice.tsx";
import { given } from "../../state/given.ts";
import { openAndShow, openGivenAndShow } from "../../state/host.ts";
import { route } from "../../state/route.ts";
import { chosenInput, droppedInput } from "./given-files.ts";
import { useHeading } from "../../parts/use-heading.ts";
import { bytes } from "../../parts/words.ts";

/** Longer text is opened at once, and not put into the box. */
const shownText = 200_000;

const commands = `sudo sh -c 'cat /sys/kernel/debug/iommu/*/ir_translation_struct; cat /proc/interrupts; lspci -vvv; dmesg' > host.txt`;

/** Where a host is given to the page: dropped, chosen or pasted. */
export function OpenForm({ children }: { readonly children?: ComponentChildren }) {
  const [text, setText] = useState(
    route.value.query["source"] === "text" ? (route.value.query["text"] ?? "") : "",
  );
  const [wrong, setWrong] = useState("");
  const [over, setOver] = useState(false);
  const part = useHeading<HTMLDivElement>();
  const file = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = async (input: Promise<HostInput> | (() => HostInput)): Promise<void> => {
    setWrong("");
    try {
      openAndShow(typeof input === "function" ? input() : await input);
    } catch (error) {
      setWrong(error instanceof Error ? error.message : String(error));
    }
  };
  const takeText = (given_: string): void => {
    if (given_.length > textLimit) {
      setWrong(
        `A text of ${bytes(given_.length)} is more than a page takes at once (${bytes(textLimit)}): give it as a file.`,
      );
    } else if (given_.trim() !== "") openAndShow({ name: "pasted text", text: given_ });
  };
  const choose = (event: Event): void => {
    const { files } = event.currentTarget as HTMLInputElement;
    if (files !== null && files.length > 0) void take(() => chosenInput(files));
  };
  return (
    <div class="machine-open" ref={part}>
      <h1 tabIndex={-1}>Machine</h1>
      {children}
      {wrong === "" ? null : (
        <Notice kind="large" title="This cannot be opened">
          {wrong}
        </Notice>
      )}
      <div
        class={`drop${over ? " over" : ""}`}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          if (event.dataTransfer !== null) void take(droppedInput(event.dataTransfer));
        }}
      >
        <p>
          <strong>Drop a file, a folder or several texts here</strong>: what <code>intremap collect</code> or
          a sosreport wrote, a dump of a kernel (vmcore, kdump, QEMU’s), debugfs text, a QEMU trace;
          compressed or not.
        </p>
        <p class="buttons">
          <button type="button" class="primary" onClick={() => file.current?.click()}>
            Choose files…
          </button>
          <button type="button" onClick={() => folder.current?.click()}>
            Choose a folder…
          </button>
          {given.host === null ? null : (
            <button type="button" onClick={openGivenAndShow}>
              {given.host.name === "live" ? "This machine" : given.host.name}
            </button>
          )}
        </p>
        <input ref={file} type="file" multiple hidden aria-label="A file" onChange={choose} />
        <input
          ref={folder}
          type="file"
          hidden
          aria-label="A folder"
          {...{ webkitdirectory: true }}
          onChange={choose}
        />
        <p class="faint">Your browser reads it. Nothing leaves this page, and nothing is kept.</p>
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          takeText(text);
        }}
      >
        <label for="machine-text">Or paste what it printed</label>
        <textarea
          id="machine-text"
          class="mono"
          rows={8}
          spellcheck={false}
          placeholder="ir_translation_struct, irqtbl, /proc/interrupts, lspci, dmesg …"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onPaste={(event) => {
            const pasted = event.clipboardData?.getData("text/plain") ?? "";
            if (pasted.length <= shownText) return;
            event.preventDefault();
            takeText(pasted);
          }}
        />
        <p class="buttons">
          <button type="submit" class="primary" disabled={text.trim() === ""}>
            Open
          </button>
          <CopyButton label="Copy a command that prints it" text={commands} />
        </p>
      </form>
    </div>
  );
}
