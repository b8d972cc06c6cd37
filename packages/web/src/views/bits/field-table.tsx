import { type Field, type Value, decode, fieldsOf, hex, widthOf } from "@intremap/core";
import { FieldInput } from "./field-input.tsx";
import { type Subject, type SubjectPart, withField } from "../../parts/subject.ts";

interface FieldTableProps {
  readonly subject: Subject;
  /** `word.field`. */
  readonly selected: string | null;
  readonly onSelect: (id: string | null) => void;
  readonly onEdit: (part: SubjectPart, value: bigint, how: "push" | "replace") => void;
}

function bitsOf({ parts }: Field): string {
  return [...parts]
    .reverse()
    .map(([high, low]) => (high === low ? `${high}` : `${high}:${low}`))
    .join(", ");
}

function meaningOf({ values, title }: Field, value: Value): string {
  const meaning = typeof value === "number" ? values?.[value] : undefined;
  return meaning === undefined ? title : `${title}: ${meaning}`;
}

/** Fewer of Linux's names stand under the specification's. */
const namesInColumn = 4;

/** Every field: where it is, both names, its content to be changed, and what it means. */
export function FieldTable({ subject, selected, onSelect, onEdit }: FieldTableProps) {
  const several = subject.parts.length > 1;
  const named = subject.parts.flatMap(({ layout }) => fieldsOf(layout).filter(([, { linux }]) => linux));
  const column = named.length >= namesInColumn;
  return (
    <table class="fields">
      <caption class="visually-hidden">Fields of {subject.title}</caption>
      <thead>
        <tr>
          <th scope="col">bits</th>
          <th scope="col">field</th>
          {column ? <th scope="col">Linux</th> : null}
          <th scope="col">value</th>
          <th scope="col">meaning</th>
        </tr>
      </thead>
      <tbody>
        {subject.parts.flatMap((part) => {
          const values = decode(part.layout, part.value) as Readonly<Record<string, Value>>;
          return fieldsOf(part.layout).map(([name, field]) => {
            const id = `${part.word}.${name}`;
            const value = values[name]!;
            return (
              <tr
                key={`${part.layout.name} ${id}`}
                class={id === selected ? "selected" : undefined}
                onPointerEnter={() => onSelect(id)}
                onPointerLeave={() => onSelect(null)}
                onFocusIn={() => onSelect(id)}
              >
                <td class="mono">{several ? `${part.label} ${bitsOf(field)}` : bitsOf(field)}</td>
                <th scope="row" class="mono">
                  {name}
                  {column || field.linux === undefined ? null : <small> {field.linux}</small>}
                </th>
                {column ? <td class="mono">{field.linux ?? ""}</td> : null}
                <td class="content">
                  <FieldInput
                    name={name}
                    field={field}
                    width={widthOf(field) + (field.scale ?? 0)}
                    value={value}
                    onContent={(content, how) => onEdit(part, withField(part, name, content), how)}
                  />
                </td>
                <td class="meaning">
                  {meaningOf(field, value)}
                  {field.section === undefined ? null : <small> {field.section}</small>}
                </td>
              </tr>
            );
          });
        })}
        {subject.derived.map(({ name, title, value }) => (
          <tr key={name} class="derived">
            <td />
            <th scope="row" class="mono">
              {name}
            </th>
            {column ? <td /> : null}
            <td class="mono content">{typeof value === "number" && value >= 10 ? hex(value) : value}</td>
            <td class="meaning">{title}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
