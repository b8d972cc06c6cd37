/** What the command gives the page to begin with. The page's own `state/given.ts` reads it. */
export interface Given {
  /** The hash with which the page opens when the address has none. */
  readonly start: string;
  readonly host: { readonly name: string; readonly from: "report" | "live" } | null;
  readonly scenario: GivenScenario | null;
}

export interface GivenScenario {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  /** YAML. */
  readonly text: string;
  /** Base64, by the file's name. */
  readonly images: Readonly<Record<string, string>>;
}

/** JSON that a browser does not run, and in which nothing ends the element. */
export function dataBlock(id: string, json: string): string {
  return `<script type="application/json" id="${id}">${json.replaceAll("<", "\\u003c")}</script>\n`;
}
