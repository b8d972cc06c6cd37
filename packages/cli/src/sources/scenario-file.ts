import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError, type Parameter, type Scenario, type ScenarioChoice, ShapeError } from "@intremap/core";
import { decodeText, readParameters, readScenario } from "@intremap/core";
import { readBytes } from "../input.ts";
import type { Source } from "../io.ts";
import {
  type Document,
  LineCounter,
  type YAMLParseError,
  type Pair,
  isCollection,
  isMap,
  isPair,
  parseDocument,
} from "yaml";

const mostBytes = 1 << 20;
const extension = ".yaml";
const standardInput = "standard input";
/** Deeper than any scenario nests, and a sign of one that contains itself. */
const mostNesting = 32;

/** A scenario's text, parsed: what it declares can be asked for before it is read whole. */
export class ScenarioFile {
  readonly name: string;
  /** Folder of the file, where its images lie. */
  readonly folder: string;
  readonly text: string;
  readonly #path: string;
  readonly #document: Document;
  readonly #lines: LineCounter;

  /** @throws InputError when the text is no YAML. */
  constructor(path: string, text: string) {
    this.name = path === "-" ? standardInput : basename(path, extension);
    this.folder = dirname(path);
    this.text = text;
    this.#path = path === "-" ? standardInput : path;
    this.#lines = new LineCounter();
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      logLevel: "error",
    });
    const [error] = this.#document.errors;
    if (error !== undefined) throw this.#at(error.pos[0], complaintOf(error));
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
    let tree: unknown;
    try {
      tree = this.#document.toJS({ maxAliasCount: 100 });
    } catch (error) {
      throw this.#at(0, (error as Error).message);
    }
    if (nestsDeeper(tree, mostNesting)) {
      throw this.#at(0, `nested more than ${mostNesting} deep, expected a scenario`);
    }
    return tree;
  }

  #placed<T>(reading: () => T): T {
    try {
      return reading();
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      const place = error.place === "scenario" || error.place === "" ? "" : `${error.place}: `;
      const keys = keysOf(error.place);
      const offset = this.#offsetOf(keys, /^unknown (key|action)/.test(error.complaint));
      throw this.#at(offset, `${place}${error.complaint}`);
    }
  }

  #at(offset: number, message: string): InputError {
    const { line, col } = this.#lines.linePos(offset);
    return new InputError(`${this.#path}:${line}:${col}: ${message}`);
  }

  /** Where the deepest part of a place that exists begins; of the last part the key, if that is what is wrong. */
  #offsetOf(keys: readonly (string | number)[], atKey: boolean): number {
    let node: unknown = this.#document.contents;
    let offset = 0;
    for (const [i, key] of keys.entries()) {
      if (!isCollection(node)) break;
      const pair: Pair | undefined = isMap(node)
        ? node.items.find((item) => isPair(item) && String(item.key) === key)
        : undefined;
      if (isMap(node) && pair === undefined) break;
      const next: unknown = pair === undefined ? node.get(key, true) : pair.value;
      const byKey = isCollection(next) || (atKey && i === keys.length - 1);
      offset = startOf(byKey ? (pair?.key ?? next) : (next ?? pair?.key)) ?? offset;
      node = next;
    }
    return offset;
  }
}

/** What the parser says, without what it advises programmers to do. */
function complaintOf({ code, message }: YAMLParseError): string {
  if (code === "MULTIPLE_DOCS") return "a second document, expected one";
  if (message.includes("call stack")) return "nested too deep, expected a scenario";
  return message.replaceAll(/\s*\n\s*/g, " ");
}

/** @param above the nodes that contain this one. */
function nestsDeeper(node: unknown, depth: number, above: readonly unknown[] = []): boolean {
  if (typeof node !== "object" || node === null) return false;
  if (above.length === depth || above.includes(node)) return true;
  return Object.values(node).some((one) => nestsDeeper(one, depth, [...above, node]));
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] } | null | undefined)?.range?.[0];
}

/** `vms.guest.vcpus[0]` as a path. */
function keysOf(place: string): (string | number)[] {
  return place
    .replace(/, key "(.*)"$/, ".$1")
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
