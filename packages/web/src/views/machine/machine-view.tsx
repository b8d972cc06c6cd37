import { useEffect } from "preact/hooks";
import { Notice } from "../../parts/notice.tsx";
import { Waiting } from "../../parts/waiting.tsx";
import { given } from "../../state/given.ts";
import {
  type SourceQuery,
  closeHost,
  hostReading,
  openGivenHost,
  openHostInput,
  sameSource,
} from "../../state/host.ts";
import { hrefOf, route } from "../../state/route.ts";
import { HostView } from "./host-view.tsx";
import { OpenForm } from "./open-form.tsx";
import { bytes } from "../../parts/words.ts";

function sourceIn({ source, name, size, text }: Readonly<Record<string, string>>): SourceQuery | null {
  return source === undefined ? null : { source, name, size, text };
}

/** Opens what an address names, where it can be had without the reader's doing. */
function openFrom({ source, text }: SourceQuery): void {
  if (source === "text" && text !== undefined) void openHostInput({ name: "pasted text", text });
  else if (given.host !== null && source === given.host.from) void openGivenHost();
}

/** A whole host: its map, its topology, and what is wrong with it. */
export function MachineView() {
  const wanted = sourceIn(route.value.query);
  const reading = hostReading.value;
  const there = reading.state !== "none" && wanted !== null && sameSource(reading.query, wanted);
  const key = wanted === null ? "" : JSON.stringify(wanted);
  useEffect(() => {
    if (wanted !== null && !there) openFrom(wanted);
  }, [key]);
  if (!there) {
    return <OpenForm>{wanted === null ? <GoOn /> : <Absent query={wanted} />}</OpenForm>;
  }
  if (reading.state === "open") return <HostView reading={reading} />;
  if (reading.state === "failed") {
    return (
      <OpenForm>
        <Notice kind="error" title={`${reading.name} cannot be read`}>
          {reading.message}
        </Notice>
      </OpenForm>
    );
  }
  return (
    <>
      <h1>Machine</h1>
      <Waiting title={`Reading ${reading.name}`} progress={reading.progress} stop={closeHost} />
    </>
  );
}

/** Who comes back finds what is open. */
function GoOn() {
  const reading = hostReading.value;
  if (reading.state !== "open") return null;
  const query = Object.entries(reading.query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return (
    <div class="notice info">
      <p>
        <a href={hrefOf("machine", Object.fromEntries(query))}>{reading.name}</a> is open: go on with it, or
        open something else.
      </p>
    </div>
  );
}

/** What an address names and the page does not have. */
function Absent({ query }: { readonly query: SourceQuery }) {
  const { source, name, size } = query;
  if (source === "text" || source === given.host?.from) return null;
  if (source === "live" || source === "report") {
    return (
      <Notice kind="info" title="This address wants a page that was served">
        {source === "live"
          ? "It shows the machine on which intremap serve runs: start it there, and open the address that it prints."
          : "It shows the host in a report: open the report's file."}
      </Notice>
    );
  }
  const what = source === "folder" ? "the folder" : source === "file" ? "the file" : "the text";
  return (
    <Notice kind="info" title={`This address shows ${name ?? "a pasted text"}`}>
      {`Give ${what} once more${size === undefined ? "" : ` (${bytes(Number(size))})`}: a link names it, and does not hold it. Everything else opens as it was.`}
    </Notice>
  );
}
