import { Notice } from "../../parts/notice.tsx";
import { Waiting } from "../../parts/waiting.tsx";
import { given } from "../../state/given.ts";
import { type SourceQuery, closeHost, hostReading, sourceIn } from "../../state/host.ts";
import { hrefOf, queryText, route } from "../../state/route.ts";
import { useHost } from "../../state/use-host.ts";
import { HostView } from "./host-view.tsx";
import { OpenForm } from "./open-form.tsx";
import { useHeading } from "../../parts/use-heading.ts";
import { bytes } from "../../parts/words.ts";

/** A whole host: its map, its topology, and what is wrong with it. */
export function MachineView() {
  const wanted = sourceIn(route.value.query);
  const reading = useHost(wanted);
  if (reading.state === "none") {
    return <OpenForm>{wanted === null ? <GoOn /> : <Absent query={wanted} />}</OpenForm>;
  }
  if (reading.state === "open") return <HostView key={JSON.stringify(wanted)} opened={reading} />;
  if (reading.state === "failed") {
    return (
      <OpenForm>
        <Notice kind="error" title={`${reading.name} cannot be read`}>
          {withoutName(reading.message, reading.name)}
        </Notice>
      </OpenForm>
    );
  }
  return <Opening name={reading.name} progress={reading.progress} />;
}

/** What was wrong, below a title that names the source. */
function withoutName(message: string, name: string): string {
  return message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message;
}

function Opening({ name, progress }: { readonly name: string; readonly progress: string }) {
  const part = useHeading<HTMLDivElement>();
  return (
    <div ref={part}>
      <h1 tabIndex={-1}>Machine</h1>
      <Waiting title={`Reading ${name}`} progress={progress} stop={closeHost} />
    </div>
  );
}

/** Who comes back finds what is open. */
function GoOn() {
  const reading = hostReading.value;
  if (reading.state !== "open") return null;
  return (
    <div class="notice info">
      <p>
        <a href={hrefOf("machine", queryText(reading.query))}>{reading.name}</a> is open: go on with it, or
        open something else.
      </p>
    </div>
  );
}

/** What an address names and the page does not have. */
function Absent({ query }: { readonly query: SourceQuery }) {
  const { source = "", name, size, text } = query;
  if (text !== undefined || source === given.host?.from) return null;
  if (source === "live") {
    return (
      <Notice kind="info" title="This address wants a page that was served">
        It shows the machine on which intremap serve runs: start it there, and open the address that it
        prints.
      </Notice>
    );
  }
  if (source === "report") {
    return (
      <Notice kind="info" title="This address is of a report">
        It shows the host in a report: open the report’s file.
      </Notice>
    );
  }
  const what = givenAs.get(source);
  if (what === undefined) {
    return (
      <Notice kind="info" title="This address names no host that a page can open">
        Give a file, a folder or a text.
      </Notice>
    );
  }
  return (
    <Notice kind="info" title={`This address shows ${name ?? `a ${what}`}`}>
      {`Give the ${what} once more${size === undefined ? "" : ` (${bytes(Number(size))})`}: a link names it, and does not hold it. Everything else opens as it was.`}
    </Notice>
  );
}

/** What a reader gave, as an address calls it. */
const givenAs: ReadonlyMap<string, string> = new Map([
  ["file", "file"],
  ["files", "files"],
  ["folder", "folder"],
  ["pasted", "pasted text"],
  ["text", "pasted text"],
]);
