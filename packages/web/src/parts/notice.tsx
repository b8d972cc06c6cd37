import type { ComponentChildren } from "preact";

interface NoticeProps {
  /** `empty`: nothing is there yet; `large`: more than the page takes. */
  readonly kind: "empty" | "error" | "large" | "info";
  readonly title: string;
  readonly children?: ComponentChildren;
}

/** In place of what cannot be shown: what it is, and what to do. */
export function Notice({ kind, title, children }: NoticeProps) {
  return (
    <div class={`notice ${kind}`} role={kind === "error" || kind === "large" ? "alert" : "status"}>
      <h2>{title}</h2>
      {children === undefined ? null : <p>{children}</p>}
    </div>
  );
}
