/** What a page is given to begin with: a report has it in itself, `intremap serve` sends it along. */
export interface Given {
  /** The hash with which the page opens when the address has none. */
  readonly start: string;
  readonly host: {
    /** What it was read from: `live`, a file's name. */
    readonly name: string;
    /** `report`: it lies in the page, packed; `live`: whoever serves the page reads it anew each time. */
    readonly from: "report" | "live";
  } | null;
  readonly scenario: GivenScenario | null;
}

/** A scenario of the reader's own. */
export interface GivenScenario {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  /** YAML. */
  readonly text: string;
  /** Base64, by the file's name. */
  readonly images: Readonly<Record<string, string>>;
}
