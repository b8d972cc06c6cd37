import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import type { JsonObject } from "../../spec/shape.ts";
import { type ConformanceCase, readCaseFile } from "../conformance/case-file.ts";
import { reasons } from "./reasons.ts";
import type { CaseRecord } from "./recording.ts";

/** A file of the corpus, as text. */
export interface CorpusFile {
  /** For messages. */
  readonly name: string;
  readonly content: string;
}

/** A case of the corpus, read, and as a record that is whole by itself. */
export interface CorpusCase {
  readonly read: ConformanceCase;
  readonly record: CaseRecord;
  /** Why it can be run on the model only, where its kind alone says so. */
  readonly modelOnly?: string;
}

/** The units that are a vendor's remapping unit. */
const remapping: Readonly<Record<string, Vendor>> = { vtd: "intel", amdvi: "amd" };

/** What belongs to one vendor's machines; cases of other units belong to every machine. */
const owners: Readonly<Record<string, Vendor>> = { ...remapping, vmx: "intel", avic: "amd" };

/**
 * The cases of a file that are about a vendor's machines.
 * @throws ShapeError when the file is not of the corpus' format.
 */
export function readCorpus({ name, content }: CorpusFile, vendor: Vendor): CorpusCase[] {
  const read = readCaseFile(name, content);
  const parsed = JSON.parse(content) as
    | readonly JsonObject[]
    | { defaults?: JsonObject; cases: JsonObject[] };
  const { defaults = {}, cases } = "cases" in parsed ? parsed : { cases: parsed };
  return read.flatMap((one, i) => {
    if ((owners[one.unit] ?? vendor) !== vendor) return [];
    const own = cases[i]!;
    const setup = { ...(defaults["setup"] as JsonObject), ...(own["setup"] as JsonObject) };
    const record: CaseRecord = { ...defaults, ...own, id: one.id, setup };
    if (remapping[one.unit] !== undefined) return [{ read: one, record }];
    const modelOnly = one.unit === "pci" ? reasons.functions : reasons.processors;
    return [{ read: one, record, modelOnly }];
  });
}
