import { run } from "../program.ts";
import { testIo } from "./test-io.ts";

/** What a command came to. */
export interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Calls `intremap run`. */
export async function callRun(args: readonly string[], input?: string | Uint8Array): Promise<Ended> {
  const io = testIo(input, { NO_COLOR: "1" });
  const status = await run(["run", ...args], io);
  return { status, out: io.out(), err: io.err() };
}

/** A scenario that ends as it expects. */
export const goodScenario = `title: A scenario
kernel: "7.0"
machine: { vendor: intel, cmdline: intel_iommu=on }
devices:
  nic: { at: "01:00.0", msix: 2 }
vms:
  guest: { vcpus: [1], devices: [nic] }
script:
  - start: guest
  - enable: { device: nic }
  - interrupt: { device: nic, times: 3 }
expect: { delivered: 6, lost: 0 }
`;

/** The same with something else in one place. @throws RangeError when there is not one such place. */
export function changed(from: string, to: string): string {
  if (goodScenario.split(from).length !== 2) throw new RangeError(`"${from}" is not there once`);
  return goodScenario.replace(from, to);
}
