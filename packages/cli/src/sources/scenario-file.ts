import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError, type Parameter, type Scenario, type ScenarioChoice, ShapeError } from "@intremap/core";
import { readParameters, readScenario } from "@intremap/core";
import { decodeText, readBytes } from "../input.ts";
import type { Source } from "../io.ts";
import { type Document, LineCounter, type Pair, isCollection, isMap, isPair, parseDocument } from "yaml";

const mostBytes = 1 << 20;
const extension = ".yaml";

/** A scenario's text, parsed: what it declares can be asked for before it is read whole. */
export class ScenarioFile {
  readonly name: string;
  /** Folder of the file, where its images lie. */
  readonly folder: string;
  readonly #path: string;
  readonly #document: Document;
  readonly #lines: LineCounter;

  /** @throws InputError when the text is no YAML. */
  constructor(path: string, text: string) {
    this.name = basename(path, extension);
    this.folder = dirname(path);
    this.#path = path;
    this.#lines = new LineCounter();
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
    });
    const [error] = this.#document.errors;
    if (error !== undefined) throw this.#at(error.pos[0], error.message);
  }

  /** @throws InputError */
  get parameters(): Parameter[] {
    return this.#placed(() => readParameters(this.#tree()));
  }

  /** @throws InputError that names line and column. */
  read(choice: ScenarioChoice): Scenario {
    return this.#placed(() => readScenario(this.name, this.#tree(), choice));
  }

  #tree(): unknown {
    try {
      return this.#document.toJS({ maxAliasCount: 100 });
    } catch (error) {
      throw this.#at(0, (error as Error).message);
    }
  }

  #placed<T>(reading: () => T): T {
    try {
      return reading();
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      const place = error.place === "scenario" || error.place === "" ? "" : `${error.place}: `;
      throw this.#at(this.#offsetOf(keysOf(error.place)), `${place}${error.complaint}`);
    }
  }

  #at(offset: number, message: string): InputError {
    const { line, col } = this.#lines.linePos(offset);
    return new InputError(`${this.#path}:${line}:${col}: ${message}`);
  }

  /** Where the deepest part of a place that exists begins. */
  #offsetOf(keys: readonly (string | number)[]): number {
    let node: unknown = this.#document.contents;
    let offset = 0;
    for (const key of keys) {
      if (!isCollection(node)) break;
      const pair: Pair | undefined = isMap(node)
        ? node.items.find((item) => isPair(item) && String(item.key) === key)
        : undefined;
      if (isMap(node) && pair === undefined) break;
      const next: unknown = pair === undefined ? node.get(key, true) : pair.value;
      offset = startOf(isCollection(next) ? (pair?.key ?? next) : (next ?? pair?.key)) ?? offset;
      node = next;
    }
    return offset;
  }
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] } | null | undefined)?.range?.[0];
}

/** `vms.guest.vcpus[0]` as a path. */
function keysOf(place: string): (string | number)[] {
  return place
    .split(/[.[\]]+/)
    .filter((part) => part !== "")
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

/** Where the scenarios that come with the command lie: beside the bundle, or in the repository. */
function builtInFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const shipped = join(here, "scenarios");
  return existsSync(shipped) ? shipped : join(here, "../../../../scenarios");
}

/** Names of the scenarios that come with the command. */
export function builtInScenarios(): string[] {
  return readdirSync(builtInFolder())
    .filter((file) => file.endsWith(extension))
    .map((file) => basename(file, extension))
    .sort();
}

/**
 * Opens a scenario by its name or its file, `-` for standard input.
 * @throws InputError when there is none, or it is no YAML.
 */
export async function openScenario(nameOrFile: string, stdin: Source): Promise<ScenarioFile> {
  const known = builtInScenarios();
  const path = known.includes(nameOrFile) ? join(builtInFolder(), `${nameOrFile}${extension}`) : nameOrFile;
  if (path !== "-" && !existsSync(path)) {
    throw new InputError(
      `there is no scenario and no file "${nameOrFile}": expected a file or ${known.join(", ")}`,
    );
  }
  return new ScenarioFile(path, decodeText(await readBytes(path, stdin, mostBytes)));
}
