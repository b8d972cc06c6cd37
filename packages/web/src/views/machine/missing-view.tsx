import type { HostSummary } from "../../engine/map/summary.ts";
import { many } from "../../parts/words.ts";

interface MissingViewProps {
  readonly missing: HostSummary["missing"];
  readonly notChecked: HostSummary["audit"]["notChecked"];
}

/** What the source does not say, and what would bring it; and what was not checked for that. */
export function MissingView({ missing, notChecked }: MissingViewProps) {
  return (
    <section class="missing" aria-label="Not known">
      {missing.all === 0 ? (
        <p>The source says everything that the map shows.</p>
      ) : (
        <table>
          <caption class="visually-hidden">What is not known</caption>
          <thead>
            <tr>
              <th scope="col">not known</th>
              <th scope="col">why</th>
              <th scope="col">what would bring it</th>
            </tr>
          </thead>
          <tbody>
            {missing.first.map(({ what, why, needs }, at) => (
              <tr key={at}>
                <td>{what}</td>
                <td>{why}</td>
                <td>{needs ?? "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {missing.all > missing.first.length ? (
        <p class="faint">and {many(missing.all - missing.first.length, "more", "more")}</p>
      ) : null}
      {notChecked.length === 0 ? null : (
        <>
          <h2>Rules that were not checked, or in part</h2>
          <table>
            <caption class="visually-hidden">Rules that were not checked</caption>
            <thead>
              <tr>
                <th scope="col">rule</th>
                <th scope="col">looked at the rest</th>
                <th scope="col">not known</th>
              </tr>
            </thead>
            <tbody>
              {notChecked.map(({ rule, partly, missing: lacks }, at) => (
                <tr key={at}>
                  <td>
                    <code>{rule}</code>
                  </td>
                  <td>{partly ? "yes" : "no"}</td>
                  <td>
                    {lacks.length > 3
                      ? `${lacks.slice(0, 3).join("; ")}; and ${lacks.length - 3} more`
                      : lacks.join("; ")}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </section>
  );
}
