import { unpackHost } from "@intremap/core";
import { keepHost } from "../kept-host.ts";

/**
 * Opens a host that was packed: a report's, or what `serve` reads of the machine. One that is none leaves what was
 * open before.
 * @throws InputError when it is none, or one of another version.
 */
export function openPackedHost(text: string): void {
  keepHost(unpackHost(text));
}
