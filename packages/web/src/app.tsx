import { useEffect, useRef } from "preact/hooks";
import { Failure } from "./parts/failure.tsx";
import { Notice } from "./parts/notice.tsx";
import { given } from "./state/given.ts";
import { type Route, hrefOf, route } from "./state/route.ts";
import { nextTheme, theme } from "./state/theme.ts";
import { views } from "./views.ts";

/** The browser would leave the page for a file that is dropped where nothing takes it. */
function refuseFile(event: DragEvent): void {
  if (event.defaultPrevented || event.dataTransfer?.types.includes("Files") !== true) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "none";
}

addEventListener("dragover", refuseFile);
addEventListener("drop", refuseFile);

/** What is looked at, wherever one is in it. */
function shownBy({ view, query }: Route): string {
  return hrefOf(view, { ...query, step: "" });
}

export function App() {
  const { view: id } = route.value;
  const known = views.find((one) => one.id === id);
  const view = known ?? views[0]!;
  const main = useRef<HTMLElement>(null);
  const arrived = useRef(view.id);
  useEffect(() => {
    document.title = `${view.title} — intremap`;
    // Whoever goes to another view goes on reading there.
    if (arrived.current !== view.id) main.current?.focus();
    arrived.current = view.id;
  }, [view]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <header class="top">
        <strong class="brand">intremap</strong>
        <nav aria-label="Views">
          {views.map(({ id, title, hint }) => (
            <a key={id} href={hrefOf(id)} title={hint} aria-current={id === view.id ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
        {given.host?.from === "live" ? (
          <span class="local" title="The page asks nobody but the intremap on this machine that serves it.">
            Nothing leaves this machine
          </span>
        ) : (
          <span class="local" title="No request leaves this page: the model runs in your browser.">
            Nothing leaves this page
          </span>
        )}
        <button type="button" onClick={nextTheme} aria-label={`Theme: ${theme.value}`}>
          {theme.value}
        </button>
      </header>
      <main id="main" ref={main} tabIndex={-1} aria-label={view.title}>
        {known === undefined && id !== "" ? (
          <Notice kind="error" title={`There is no view "${id.slice(0, 40)}"`}>
            This is {view.title}, with which one begins.
          </Notice>
        ) : null}
        <Failure key={view.id} shown={shownBy(route.value)}>
          <view.Body />
        </Failure>
      </main>
    </>
  );
}
