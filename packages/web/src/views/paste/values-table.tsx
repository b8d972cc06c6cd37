import { type PastedValue, traceLength } from "@intremap/core";
import { many } from "../../parts/words.ts";
import { bitsHref } from "./destinations.ts";

interface ValuesTableProps {
  readonly values: readonly PastedValue[];
  readonly omitted: number;
  /** False where no more than the beginning was looked through. */
  readonly whole: boolean;
}

/** Values in the text that a layout describes, each a link to its bits. */
export function ValuesTable({ values, omitted, whole }: ValuesTableProps) {
  if (values.length === 0) return null;
  return (
    <section class="pasted-values">
      <h2>Values in it</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">line</th>
            <th scope="col">what</th>
            <th scope="col">value</th>
            <th scope="col">bits</th>
          </tr>
        </thead>
        <tbody>
          {values.map((value) => (
            <tr key={`${value.line} ${value.kind} ${value.value}`}>
              <td>{value.line}</td>
              <td>
                {value.kind}
                {value.place === "" ? "" : `, ${value.place}`}
              </td>
              <td class="mono">{value.value}</td>
              <td>
                <a href={bitsHref(value)} aria-label={`line ${value.line} as ${value.kind} in Bits`}>
                  as {value.kind}
                </a>
                {value.others.map((kind) => (
                  <>
                    {" "}
                    <a
                      key={kind}
                      class="other"
                      href={bitsHref({ ...value, kind })}
                      aria-label={`line ${value.line} as ${kind}? in Bits`}
                    >
                      {kind}?
                    </a>
                  </>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {omitted > 0 ? (
        <p class="faint">{many(omitted, "more value is", "more values are")} not listed.</p>
      ) : null}
      {whole ? null : (
        <p class="faint">Only the first {many(traceLength, "character")} were looked through for values.</p>
      )}
    </section>
  );
}
