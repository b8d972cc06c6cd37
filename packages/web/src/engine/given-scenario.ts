/** A scenario of the reader's own that came with the page. */
export interface GivenScenario {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  /** YAML. */
  readonly text: string;
  /** Base64, by the file's name. */
  readonly images: Readonly<Record<string, string>>;
}
