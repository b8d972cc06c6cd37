import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { parse } from "yaml";

const folder = fileURLToPath(new URL("../../scenarios/", import.meta.url));

interface Declared {
  readonly title: string;
  readonly about?: string;
}

function scenarios(): { name: string; text: string; declared: Declared }[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .sort()
    .map((file) => {
      const text = readFileSync(`${folder}${file}`, "utf8");
      return { name: file.slice(0, -".yaml".length), text, declared: parse(text) as Declared };
    });
}

/** Modules out of the folder of scenarios: their names and titles for the page; texts and images for the engine. */
const modules: Readonly<Record<string, () => string>> = {
  "virtual:scenario-titles": () => {
    const titles = scenarios().map(({ name, declared: { title, about = "" } }) => ({ name, title, about }));
    return `export const scenarioTitles = ${JSON.stringify(titles)};`;
  },
  "virtual:scenario-texts": () => {
    const texts = Object.fromEntries(scenarios().map(({ name, text }) => [name, text]));
    const images = readdirSync(folder)
      .filter((file) => file.endsWith(".img"))
      .map((file) => [file, readFileSync(`${folder}${file}`, "base64")] as const);
    return `export const scenarioTexts = ${JSON.stringify(texts)};
export const scenarioImages = ${JSON.stringify(Object.fromEntries(images))};`;
  },
};

/** Of other modules the bundler does not ask. */
const ours = /^virtual:scenario-/;

export function scenarioModules(): Plugin {
  return {
    name: "scenario-modules",
    resolveId: { filter: { id: ours }, handler: (id) => id },
    load: { filter: { id: ours }, handler: (id) => modules[id]?.() ?? null },
  };
}
