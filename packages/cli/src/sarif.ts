import { readFileSync } from "node:fs";
import { isAbsolute, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { type RuleId, ruleOf } from "@intremap/core";
import type { Log, PropertyBag, ReportingDescriptor, Result } from "sarif";

/** A place in a file. */
export interface SarifPlace {
  /** As given on the command line; `-` is standard input. */
  readonly file: string;
  /** From 1; null where the finding is about the whole file. */
  readonly line: number | null;
}

/** A thing that no file holds: a part of a machine. */
export interface SarifSubject {
  /** `unit`, `device`, `entry` … */
  readonly kind: string;
  readonly name: string;
  /** The name with what it is a part of before it. */
  readonly qualified: string;
}

/** Something that a command found, in the shape that every command's findings can be brought into. */
export interface SarifFinding {
  readonly rule: RuleId;
  /** One sentence: what is there. */
  readonly found: string;
  /** What is to be done about it, as text: nobody can patch a trace. Null where that is not known. */
  readonly fix: string | null;
  readonly place: SarifPlace | SarifSubject;
  /** How grave it is; as binding as its rule is, unless told. */
  readonly level?: "error" | "warning" | "note";
  /** Other places that belong to it, each with what is there. */
  readonly related: readonly (SarifPlace & { readonly what: string })[];
  /** What else is known, by name. */
  readonly properties: PropertyBag;
}

/** A remark about the run itself: something was not looked at. */
export interface SarifRemark {
  readonly rule: RuleId | null;
  readonly text: string;
}

const schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/**
 * Findings as a SARIF 2.1.0 log of one run. Rules carry their sentence and section, results their place; nothing in it
 * depends on the time or the machine.
 */
export function sarifLog(findings: readonly SarifFinding[], remarks: readonly SarifRemark[]): Log {
  const ids = [...new Set(findings.map(({ rule }) => rule))];
  const indexOf = new Map(ids.map((id, index) => [id, index]));
  return {
    $schema: schema,
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "intremap", version: version(), rules: ids.map(descriptor) } },
        // Lines of a compressed file are those of what it holds.
        columnKind: "utf16CodeUnits",
        invocations: [
          {
            executionSuccessful: true,
            toolExecutionNotifications: remarks.map(({ rule, text }) => ({
              level: "note",
              message: { text },
              ...(rule === null ? {} : { properties: { rule, section: ruleOf(rule).section } }),
            })),
          },
        ],
        results: findings.map((finding) => resultOf(finding, indexOf.get(finding.rule)!)),
      },
    ],
  };
}

function descriptor(id: RuleId): ReportingDescriptor {
  const { section, force, text, standing } = ruleOf(id);
  return {
    id,
    shortDescription: { text },
    help: { text: `${section} (${force}${standing === undefined ? "" : `, ${standing}`}): ${text}` },
    defaultConfiguration: { level: levelOf(id) },
    properties: { section, force, ...(standing === undefined ? {} : { standing }) },
  };
}

/** What a document demands is an error to break; what it leaves to the hardware may go well. */
function levelOf(id: RuleId): "error" | "warning" {
  return ruleOf(id).force === "shall" ? "error" : "warning";
}

function resultOf(finding: SarifFinding, ruleIndex: number): Result {
  const { rule, found, fix, place, related, properties, level = levelOf(rule) } = finding;
  return {
    ruleId: rule,
    ruleIndex,
    level,
    message: { text: fix === null ? found : `${found} Fix: ${fix}` },
    locations: [
      "file" in place
        ? { physicalLocation: physical(place) }
        : {
            logicalLocations: [{ name: place.name, kind: place.kind, fullyQualifiedName: place.qualified }],
          },
    ],
    ...(related.length === 0
      ? {}
      : {
          relatedLocations: related.map((other, id) => ({
            id,
            message: { text: other.what },
            physicalLocation: physical(other),
          })),
        }),
    properties: { section: ruleOf(rule).section, ...(fix === null ? {} : { fix }), ...properties },
  };
}

function physical({
  file,
  line,
}: SarifPlace): NonNullable<NonNullable<Result["locations"]>[0]["physicalLocation"]> {
  return {
    artifactLocation: { uri: uriOf(file) },
    ...(line === null ? {} : { region: { startLine: line } }),
  };
}

/** A path as a URI reference: an absolute one with its scheme, another one relative to wherever the log is read. */
function uriOf(file: string): string {
  if (file === "-") return "stdin";
  if (isAbsolute(file)) return pathToFileURL(file).href;
  const parts = file.split(sep).map(encodeURIComponent);
  // A first part with a colon would read as a scheme; encodeURIComponent has taken it away.
  return parts.join("/");
}

function version(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
