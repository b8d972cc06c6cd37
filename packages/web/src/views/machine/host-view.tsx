import { useLayoutEffect, useState } from "preact/hooks";
import type { HostSummary } from "../../engine/map/summary.ts";
import { SaveDocument } from "./save-document.tsx";
import { given } from "../../state/given.ts";
import { type HostReading, closeHost, openGivenHost } from "../../state/host.ts";
import { change, go, route } from "../../state/route.ts";
import { BudgetsView } from "./budgets-view.tsx";
import { FindingsPanel } from "./findings-panel.tsx";
import { FollowPanel } from "./follow-panel.tsx";
import { MapView } from "./map-view.tsx";
import { MissingView } from "./missing-view.tsx";
import { TopologyView } from "./topology-view.tsx";
import { useHeading } from "../../parts/use-heading.ts";
import { many } from "../../parts/words.ts";

const tabs = [
  { id: "interrupts", title: "Interrupts" },
  { id: "topology", title: "Topology" },
  { id: "budgets", title: "Budgets" },
  { id: "missing", title: "Not known" },
] as const;

const vendorNames = { intel: "Intel VT-d", amd: "AMD-Vi" } as const;

/** A host that is open: its map and topology, and beside them what the audit found or the path of one interrupt. */
export function HostView({ opened }: { readonly opened: Extract<HostReading, { state: "open" }> }) {
  const { name, host, stale } = opened;
  const { summary, reading } = host;
  const part = useHeading<HTMLDivElement>();
  const { query } = route.value;
  const tab = tabs.find(({ id }) => id === query["show"])?.id ?? "interrupts";
  const subject = query["at"];
  return (
    <div class="machine" ref={part}>
      <header class="host">
        <h1 tabIndex={-1}>{name}</h1>
        <p class="faint">
          {[
            summary.vendor === null ? null : vendorNames[summary.vendor],
            summary.release === null ? null : `Linux ${summary.release}`,
          ]
            .filter((one) => one !== null)
            .join(" · ")}
        </p>
        <div class="buttons">
          {given.host?.from === "live" && query["source"] === "live" ? <Refresh /> : null}
          <SaveDocument label="Map as JSON" command="map" />
          <SaveDocument label="Audit as JSON" command="audit" />
          <button type="button" onClick={() => (closeHost(), go("machine"))}>
            Close
          </button>
        </div>
      </header>
      {stale === null ? null : (
        <p class="stale" role="alert">
          This is what it was before: {stale}
        </p>
      )}
      <Figures {...summary} />
      <div class="beside">
        <div class="main">
          <nav class="tabs" aria-label="Of this host">
            {tabs.map(({ id, title }) => (
              <button
                key={id}
                type="button"
                aria-pressed={id === tab}
                onClick={() => change({ show: id === "interrupts" ? undefined : id }, "push")}
              >
                {title}
                {id === "missing" ? <span class="count">{summary.missing.all}</span> : null}
              </button>
            ))}
          </nav>
          {tab === "interrupts" ? <MapView reading={reading} selected={subject} /> : null}
          {tab === "topology" ? <TopologyView reading={reading} selected={subject} /> : null}
          {tab === "budgets" ? <BudgetsView budgets={summary.budgets} /> : null}
          {tab === "missing" ? (
            <MissingView missing={summary.missing} notChecked={summary.audit.notChecked} />
          ) : null}
        </div>
        <aside class="side" aria-label={subject === undefined ? "Findings" : "Path of an interrupt"}>
          {subject === undefined ? (
            <FindingsPanel audit={summary.audit} />
          ) : (
            <FollowPanel key={subject} subject={subject} reading={reading} />
          )}
        </aside>
      </div>
    </div>
  );
}

/** The totals of the map, in one line: of what is none only the entries and the irqs are told. */
function Figures({ totals, budgets, irqsListed }: HostSummary) {
  const { entries, remapped, posted, reserved, withoutIrq, irqs, unremapped, entryUnknown, count } = totals;
  const figures: readonly (readonly [number | null, string])[] = [
    entries === 0 && budgets.tables.all === 0
      ? [null, "present entries: no table was read"]
      : [entries, entries === 1 ? "present entry" : "present entries"],
    [remapped, "remapped"],
    [posted, "posted"],
    [reserved, "not requested"],
    [withoutIrq, "without an irq"],
    irqsListed
      ? [irqs, irqs === 1 ? "irq in use" : "irqs in use"]
      : [null, "irqs in use: no source lists them"],
    [unremapped, "not remapped"],
    [entryUnknown, "through an entry not known"],
    [count ?? 0, "interrupts so far"],
  ];
  return (
    <dl class="figures">
      {figures
        .filter(([value], at) => value !== 0 || at === 0 || at === 5)
        .map(([value, what]) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd>{value === null ? "–" : value.toLocaleString("en")}</dd>
          </div>
        ))}
    </dl>
  );
}

const paces = [0, 2, 10, 60] as const;

/** Reads the machine anew: when asked, or every few seconds. */
function Refresh() {
  const every = paces.find((one) => String(one) === route.value.query["every"]) ?? 0;
  const [busy, setBusy] = useState(false);
  const read = async (): Promise<void> => {
    setBusy(true);
    await openGivenHost();
    setBusy(false);
  };
  // Ended with the view, and not after it: no reading begins once the host is closed.
  useLayoutEffect(() => {
    if (every === 0) return undefined;
    let timer = setTimeout(again, every * 1000);
    let ended = false;
    async function again(): Promise<void> {
      await read();
      if (!ended) timer = setTimeout(again, every * 1000);
    }
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [every]);
  return (
    <>
      <button type="button" disabled={busy} onClick={() => void read()}>
        Read anew
      </button>
      <label>
        every{" "}
        <select
          value={String(every)}
          onChange={({ currentTarget: { value } }) =>
            change({ every: value === "0" ? undefined : value }, "replace")
          }
        >
          {paces.map((one) => (
            <option key={one} value={String(one)}>
              {one === 0 ? "never" : many(one, "second")}
            </option>
          ))}
        </select>
      </label>
    </>
  );
}
