import { metricsOf } from "@intremap/core";
import { exposition } from "../exposition.ts";
import { type Io, exitStatus } from "../io.ts";
import { readHost } from "../sources/host.ts";
import { writeOutput } from "../sources/output-file.ts";

export interface MetricsFlags {
  readonly from: string;
  /** A file that is replaced as a whole. */
  readonly out?: string;
}

/**
 * Prints or writes what is worth watching of a host.
 * @throws InputError when the source cannot be read or the file cannot be written.
 */
export async function metrics({ from, out }: MetricsFlags, io: Io): Promise<number> {
  const text = exposition(metricsOf(await readHost(from, io)));
  if (out === undefined) io.stdout.write(text);
  else writeOutput(out, text, "--out");
  return exitStatus.clean;
}
