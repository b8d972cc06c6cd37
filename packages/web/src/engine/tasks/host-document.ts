import { audit, documentText } from "@intremap/core";
import { keptHost } from "../kept-host.ts";
import { keptMap } from "../map/kept-map.ts";
import { withTransfers } from "../transfers.ts";

/** What `map --json` or `audit --json` prints of the host that is open, in UTF-8. */
export function hostDocument(command: "map" | "audit"): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(documentText(command, command === "map" ? keptMap() : auditBody()));
  return withTransfers(bytes, [bytes.buffer]);
}

/** The keys of `audit --json`, in its order. */
function auditBody(): object {
  const { source, vendor, findings, omitted, checked, notChecked, notApplicable, missing } =
    audit(keptHost());
  return { source, vendor, findings, omitted, checked, notChecked, notApplicable, missing };
}
