import { statSync } from "node:fs";
import { basename } from "node:path";
import { InputError, packHost } from "@intremap/core";
import { type Io, exitStatus } from "../io.ts";
import { writeJson } from "../output.ts";
import { browserObstacle, openBrowser } from "../page/open-browser.ts";
import { type PageFiles, readPage } from "../page/page-files.ts";
import { PageServer } from "../page/page-server.ts";
import { readHost } from "../sources/host.ts";

export interface ServeFlags {
  readonly from: string;
  readonly port: string;
  /** False: no browser is started. */
  readonly open: boolean;
  readonly json?: boolean;
}

/** What a test sets in place of the page that was built, and of the end of the process. */
export interface ServeSetting {
  readonly page?: PageFiles;
  readonly signal?: AbortSignal;
}

/**
 * Serves the page on loopback until the process is ended.
 * @throws InputError when the source cannot be read, or the port is taken.
 */
export async function serve(
  { from, port, open, json }: ServeFlags,
  io: Io,
  { page = readPage(), signal }: ServeSetting = {},
): Promise<number> {
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) {
    throw new InputError(`--port ${port.slice(0, 20)}: expected a number from 0 to 65535`);
  }
  const host = hostReader(from, io);
  // What cannot be read is said before anybody looks at a page; a machine that is not Linux has nothing to be read.
  if (from !== "live") await host();
  const shown = from !== "live" || process.platform === "linux";
  const given = {
    start: shown ? "#/machine?source=live" : "",
    host: shown ? ({ name: from === "-" ? "standard input" : basename(from), from: "live" } as const) : null,
    scenario: null,
  };
  const server = await PageServer.start({ page, given, host, port: Number(port) });
  const { address } = server;
  signal?.addEventListener("abort", () => server.close());
  if (json === true) writeJson(io, "serve", { address, port: server.port, source: from });
  else io.stdout.write(`${address}\n`);
  if (open) startBrowser(server, io);
  await server.ended();
  return exitStatus.clean;
}

function startBrowser(server: PageServer, io: Io): void {
  const byHand = (why: string): void => {
    io.stderr.write(`intremap: ${why}: open the address in yours\n`);
  };
  const obstacle = browserObstacle(process.platform, io.env, process.getuid?.());
  if (obstacle === null) openBrowser(server.addressOnce, () => byHand("no browser could be started"));
  else byHand(obstacle);
}

/** Reads a host anew each time, unless it is a file that is as it was, or was standard input. */
function hostReader(from: string, io: Io): () => Promise<string> {
  let kept: { readonly stamp: string; readonly packed: string } | undefined;
  return async () => {
    const stamp = stampOf(from);
    if (stamp !== null && kept?.stamp === stamp) return kept.packed;
    const packed = packHost(await readHost(from, io));
    if (stamp !== null) kept = { stamp, packed };
    return packed;
  };
}

/** Differs when a file does; null where only reading tells. */
function stampOf(from: string): string | null {
  if (from === "live") return null;
  if (from === "-") return from;
  const stat = statSync(from, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile()) return null;
  return `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
}
