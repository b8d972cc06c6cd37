import type { HostSummary } from "../../engine/map/summary.ts";
import { many } from "../../parts/words.ts";

/** How much is used of what there is: tables, vectors, messages, machines. */
export function BudgetsView({ budgets }: { readonly budgets: HostSummary["budgets"] }) {
  const { tables, processors, devices, machines } = budgets;
  return (
    <section class="budgets" aria-label="Budgets">
      <Budget
        title="Remapping tables"
        heads={["unit", "of", "present", "given away"]}
        rows={tables.first.map(({ unit, requesters, used, allocated, size, complete }) => ({
          cells: [
            unit,
            requesters === null ? "all its devices" : cut(requesters),
            <Use used={used} of={size} least={!complete} scarce />,
            allocated === null ? "–" : allocated.toLocaleString("en"),
          ],
        }))}
        all={tables.all}
      />
      <Budget
        title="Vectors of the CPUs"
        heads={["cpu", "vectors", "by"]}
        rows={processors.first.map(({ cpu, used, available, by }) => ({
          cells: [
            `CPU ${cpu}`,
            <Use used={used} of={available} scarce />,
            by === "kernel" ? "the kernel’s allocator" : "counted in the map",
          ],
        }))}
        all={processors.all}
      />
      <Budget
        title="Messages of the devices"
        heads={["device", "driver", "kind", "vectors"]}
        rows={devices.first.map(({ device, driver, kind, used, available }) => ({
          cells: [
            device,
            driver ?? "–",
            kind === "msix" ? "MSI-X" : "MSI",
            <Use used={used} of={available} />,
          ],
        }))}
        all={devices.all}
      />
      <Budget
        title="Virtual machines"
        heads={["vm", "command", "vCPUs", "posted", "through the host"]}
        rows={machines.first.map(({ machine, command, vcpus, posted, remapped }) => ({
          cells: [
            machine,
            command ?? "–",
            vcpus.toLocaleString("en"),
            posted.toLocaleString("en"),
            remapped === null ? "not known" : remapped.toLocaleString("en"),
          ],
        }))}
        all={machines.all}
      />
    </section>
  );
}

function cut(names: readonly string[]): string {
  return names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");
}

interface BudgetProps {
  readonly title: string;
  readonly heads: readonly string[];
  readonly rows: readonly { readonly cells: readonly preact.ComponentChildren[] }[];
  /** How many rows there are. */
  readonly all: number;
}

function Budget({ title, heads, rows, all }: BudgetProps) {
  if (all === 0) return null;
  return (
    <div>
      <h2>{title}</h2>
      <table>
        <caption class="visually-hidden">{title}</caption>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ cells }, at) => (
            <tr key={at}>
              {cells.map((cell, column) => (
                <td key={column}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {all > rows.length ? (
        <p class="faint">and {many(all - rows.length, "more", "more")} that use less</p>
      ) : null}
    </div>
  );
}

interface UseProps {
  readonly used: number;
  readonly of: number | null;
  /** There may be more. */
  readonly least?: boolean;
  /** It is bad when nothing is left. */
  readonly scarce?: boolean;
}

/** A figure and a bar beside it. */
function Use({ used, of, least = false, scarce = false }: UseProps) {
  const share = of === null || of === 0 ? 0 : Math.min(1, used / of);
  return (
    <span class="use">
      <span>
        {least ? "at least " : ""}
        {used.toLocaleString("en")}
        {of === null ? "" : ` of ${of.toLocaleString("en")}`}
      </span>
      {of === null ? null : (
        <span class={`bar${scarce && share > 0.9 ? " full" : ""}`} aria-hidden="true">
          <span style={{ width: `${(100 * share).toFixed(1)}%` }} />
        </span>
      )}
    </span>
  );
}
