declare module "*.css";

declare module "virtual:scenario-titles" {
  export const scenarioTitles: readonly {
    readonly name: string;
    readonly title: string;
    readonly about: string;
  }[];
}

declare module "virtual:scenario-texts" {
  /** YAML, by the scenario's name. */
  export const scenarioTexts: Readonly<Record<string, string>>;
  /** Base64, by the file's name. */
  export const scenarioImages: Readonly<Record<string, string>>;
}
