import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Notice } from "./notice.tsx";

/** In place of what was stopped. It takes the focus, which the button that stopped it had. */
export function Stopped({ children }: { readonly children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current!.focus(), []);
  return (
    <div ref={box} tabIndex={-1}>
      <Notice kind="info" title="Stopped">
        {children}
      </Notice>
    </div>
  );
}
