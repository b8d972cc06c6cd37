import { type PastedTable, type TableValue, hex } from "@intremap/core";
import { CopyButton } from "../../parts/copy-button.tsx";
import { Notice } from "../../parts/notice.tsx";
import { RuleNote } from "../../parts/rule-note.tsx";

type Structure = Readonly<Record<string, TableValue>>;

function isList(value: TableValue): value is readonly Structure[] {
  return Array.isArray(value) && typeof value[0] === "object";
}

function printed(value: TableValue): string {
  if (typeof value === "number") return value < 10 ? `${value}` : hex(value);
  return typeof value === "object" ? JSON.stringify(value) : `${value}`;
}

function Pairs({ entries }: { readonly entries: readonly (readonly [string, TableValue])[] }) {
  return entries.map(([name, value]) => (
    <span key={name} class="pair">
      <span class="faint">{name}</span> <code>{printed(value)}</code>
    </span>
  ));
}

/** The fields of a structure on one line, and what it holds below. */
function StructureItem({ structure }: { readonly structure: Structure }) {
  const entries = Object.entries(structure);
  return (
    <li>
      <strong>{printed(structure["kind"] ?? "")}</strong>{" "}
      <Pairs entries={entries.filter(([name, value]) => name !== "kind" && !isList(value))} />
      {entries.map(([name, value]) => (isList(value) ? <StructureList key={name} list={value} /> : null))}
    </li>
  );
}

function StructureList({ list }: { readonly list: readonly Structure[] }) {
  return (
    <ul class="structures">
      {list.map((structure, i) => (
        <StructureItem key={i} structure={structure} />
      ))}
    </ul>
  );
}

/** A DMAR or IVRS table as `decode` prints it. */
export function FirmwareTable({ pasted: { signature, table, wrong } }: { readonly pasted: PastedTable }) {
  if (table === null) {
    return (
      <Notice kind="error" title={`${signature} cannot be decoded`}>
        {wrong}
      </Notice>
    );
  }
  const { title, section, fields, violations } = table;
  const head = Object.entries(fields).filter(([, value]) => !Array.isArray(value));
  const lists = Object.values(fields).filter(isList);
  const json = (): string => JSON.stringify({ schema: "intremap/decode/1", ...table }, null, 2);
  return (
    <section class="firmware">
      <h2>
        {title} <small>{section}</small>
      </h2>
      <p class="pairs">
        <Pairs entries={head} />
      </p>
      {lists.map((list, i) => (
        <StructureList key={i} list={list} />
      ))}
      {violations.length === 0 ? <p class="sound">✓ breaks no rule</p> : null}
      <ul class="violations">
        {violations.map(({ rule, found, offset }) => (
          <li key={`${rule} ${offset} ${found}`} class="broken">
            <strong>
              ✗ offset {hex(offset)}: {found}
            </strong>
            <RuleNote id={rule} />
          </li>
        ))}
      </ul>
      <CopyButton label="Copy as decode --json prints it" text={json} />
    </section>
  );
}
