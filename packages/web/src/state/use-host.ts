import { useEffect } from "preact/hooks";
import { type HostReading, type SourceQuery, hostReading, openNamed, sameSource } from "./host.ts";

/** The host that an address names, if it is open or on the way; it is opened where it can be without the reader's doing. */
export function useHost(wanted: SourceQuery | null): HostReading {
  const reading = hostReading.value;
  const there = reading.state !== "none" && wanted !== null && sameSource(reading.query, wanted);
  useEffect(() => {
    if (wanted !== null && !there) openNamed(wanted);
  }, [wanted === null ? "" : JSON.stringify(wanted)]);
  return there ? reading : { state: "none" };
}
