import { createHash } from "node:crypto";
import type { Given } from "@intremap/core";
import { dataBlock } from "./data-block.ts";
import type { PageFiles } from "./page-files.ts";

/**
 * The page as one file: its scripts, its style sheet and what is given lie in it, and its policy allows these and
 * no request.
 * @param packedHost JSON.
 */
export function selfContained(page: PageFiles, given: Given, packedHost: string | null): string {
  const style = page["app.css"].replaceAll("</style", "<\\/style");
  // The engine first: the page looks for it.
  const scripts = [page["engine.js"], page["app.js"]].map(insideScript);
  const data = dataBlock("given", JSON.stringify(given));
  const host = packedHost === null ? "" : dataBlock("given-host", packedHost);
  let html = page["index.html"];
  html = swap(html, /(?<=http-equiv="Content-Security-Policy"\s+content=")[^"]*(?=")/, (policy) =>
    narrowed(policy, scripts, style),
  );
  html = swap(html, '<link rel="stylesheet" href="./app.css">', () => `<style>${style}</style>`);
  html = swap(html, '<script defer src="./app.js"></script>', () => "");
  return swap(
    html,
    "</body>",
    (end) => `${data}${host}${scripts.map((text) => `<script>${text}</script>\n`).join("")}${end}`,
  );
}

/** @throws Error unless it is there once. */
function swap(text: string, what: string | RegExp, by: (found: string) => string): string {
  const found = typeof what === "string" ? what : (what.exec(text)?.[0] ?? "");
  if (found === "" || text.split(found).length !== 2) throw new Error(`the page has not one ${String(what)}`);
  return text.replace(found, () => by(found));
}

/** Program text in which nothing ends the element: an escape that strings, templates and expressions all know. */
function insideScript(text: string): string {
  return text.replaceAll(/<(?=\/script|!--)/gi, "\\x3c");
}

/** A policy that names what lies in the page in place of where it would come from. */
function narrowed(policy: string, scripts: readonly string[], style: string): string {
  const own: Readonly<Record<string, readonly string[]>> = { "script-src": scripts, "style-src": [style] };
  const elsewhere = new Set(["'self'", "'unsafe-inline'", "file:"]);
  return policy
    .split(";")
    .map((directive) => {
      const [name = "", ...sources] = directive.trim().split(/\s+/);
      const kept = [
        ...sources.filter((source) => !elsewhere.has(source)),
        ...(own[name] ?? []).map((text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`),
      ];
      return `${name} ${kept.length === 0 ? "'none'" : kept.join(" ")}`;
    })
    .join("; ");
}
