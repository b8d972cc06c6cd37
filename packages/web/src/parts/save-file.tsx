interface SaveFileProps {
  readonly label: string;
  /** What the browser offers as the file's name. */
  readonly name: string;
  readonly type?: string;
  readonly content: () => string | Uint8Array<ArrayBuffer>;
}

/** Has the browser save a file. */
export function offerFile(name: string, type: string, content: string | Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Gives a file to whoever looks at the page: what is too long for a link, or is wanted elsewhere. */
export function SaveFile({ label, name, type = "text/plain", content }: SaveFileProps) {
  return (
    <button type="button" onClick={() => offerFile(name, type, content())}>
      {label}
    </button>
  );
}
