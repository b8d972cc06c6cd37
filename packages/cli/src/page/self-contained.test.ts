import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { selfContained } from "./self-contained.ts";

const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' blob: file:; worker-src blob:; style-src 'self' 'unsafe-inline' file:; connect-src 'self'";
const page = {
  "index.html": `<html><head>
<meta http-equiv="Content-Security-Policy"
 content="${policy}" />
<script defer src="./app.js"></script>
<link rel="stylesheet" href="./app.css">
</head><body><div id="page"></div></body></html>`,
  "app.css": 'p::after{content:"$&</style>"}',
  "app.js": 'const a = "</script><!-- $&";',
  "engine.js": "globalThis.engine = 1;",
};
const given = { start: "#/path", host: null, scenario: null } as const;

function inlined(html: string, tag: string): string[] {
  return [...html.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, "gs"))].map(([, text]) => text!);
}

function sha(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

describe("a page in one file", () => {
  const html = selfContained(page, given, '{"name":"</script><script>alert(1)</script>"}');

  test("has the engine, then the page, whose texts say the same as before", () => {
    const [engine, app, ...more] = inlined(html, "script");
    expect(more).toEqual([]);
    expect(engine).toBe(page["engine.js"]);
    // eslint-disable-next-line typescript/no-implied-eval
    expect(new Function(`${app} return a;`)()).toBe("</script><!-- $&");
    expect(inlined(html, "style")).toEqual(['p::after{content:"$&<\\/style>"}']);
  });

  test("wants nothing from elsewhere", () => {
    expect(html).not.toMatch(/ (?:src|href)=/);
  });

  test("runs these scripts and no other, and asks nobody", () => {
    const scripts = inlined(html, "script").map(sha).join(" ");
    const [, content] = /content="([^"]*)"/.exec(html)!;
    expect(content).toBe(
      `default-src 'none'; script-src 'wasm-unsafe-eval' blob: ${scripts}; worker-src blob:; ` +
        `style-src ${sha(inlined(html, "style")[0]!)}; connect-src 'none'`,
    );
  });

  test("holds data in which nothing ends the element", () => {
    const [, host] = /id="given-host">(.*?)<\/script>/s.exec(html)!;
    expect(JSON.parse(host!)).toEqual({ name: "</script><script>alert(1)</script>" });
    const [, text] = /id="given">(.*?)<\/script>/s.exec(html)!;
    expect(JSON.parse(text!)).toEqual(given);
  });

  test("is refused of a page that was built in another way", () => {
    const other = { ...page, "index.html": page["index.html"].replace("defer", "async") };
    expect(() => selfContained(other, given, null)).toThrow("the page has not one <script defer");
  });
});
