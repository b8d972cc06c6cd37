import type { ComponentChildren } from "preact";
import { Notice } from "../../parts/notice.tsx";
import { hrefOf } from "../../state/route.ts";

interface RefusedProps {
  /** What was to be shown. */
  readonly what: string;
  readonly message: string;
  readonly again: () => void;
  /** How to go on where what was asked is not right. */
  readonly children?: ComponentChildren;
}

/** In place of steps that could not be had: they were stopped, or what was asked is not right. */
export function Refused({ what, message, again, children }: RefusedProps) {
  const others = <a href={hrefOf("path")}>All scenarios</a>;
  if (message === "stopped") {
    return (
      <>
        <Notice kind="info" title="Stopped">
          Nothing is kept of it. {others}
        </Notice>
        <p>
          <button type="button" onClick={again}>
            Run it again
          </button>
        </p>
      </>
    );
  }
  return (
    <Notice kind="error" title={`${what} cannot be shown`}>
      {message}. {children ?? others}
    </Notice>
  );
}
