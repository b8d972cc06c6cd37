import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A program that says it is a QEMU, and then does not do as one. */
export interface FakeQemu {
  readonly path: string;
  /** The processes that it was started as, but for its version. */
  readonly started: () => number[];
  readonly remove: () => void;
}

export interface Behaviour {
  /** What it answers to `--version`; that of a QEMU 10.0.2 unless told. */
  readonly version?: string;
  /** Shell commands in the place of the machine; it has the test protocol as descriptor 3, the monitor as 4. */
  readonly machine?: string;
}

/** Makes a fake of a few lines of shell. */
export function fakeQemu({
  version = "echo QEMU emulator version 10.0.2",
  machine = "exit 0",
}: Behaviour): FakeQemu {
  const folder = mkdtempSync(join(tmpdir(), "intremap-qemu-"));
  const path = join(folder, "qemu");
  const list = join(folder, "started");
  writeFileSync(list, "");
  writeFileSync(
    path,
    `#!/bin/sh\nif [ "$1" = --version ]; then\n${version}\nexit\nfi\necho $$ >> '${list}'\n${machine}\n`,
  );
  chmodSync(path, 0o755);
  return {
    path,
    started: () => readFileSync(list, "utf8").split("\n").filter(Boolean).map(Number),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** Shell that comes up as a machine does, and answers commands, until a program is to be run: then it does as told. */
export function upTo(then: string): string {
  return `while read -r command rest <&3; do
case "$command $rest" in
"readl 0xfec00008") echo "ioapic_mem_read ioapic mem read" >&2; echo "OK 0x0000000000000000" >&3;;
"b64read "*) echo "OK AAAAAAAA" >&3;;
"writel 0xe00"*) ${then};;
*) echo OK >&3;;
esac
done`;
}

/** Whether a process is there. */
export function isAlive(process_: number): boolean {
  try {
    process.kill(process_, 0);
  } catch {
    return false;
  }
  // Ended, and not yet taken note of by its parent.
  return !/^State:\s+Z/m.test(statusOf(process_));
}

function statusOf(process_: number): string {
  try {
    return readFileSync(`/proc/${process_}/status`, "utf8");
  } catch {
    return "";
  }
}

/** Waits until something holds. @throws Error when it does not for some seconds. */
export async function until(holds: () => boolean): Promise<void> {
  const patience = 20_000;
  for (const start = Date.now(); !holds();) {
    if (Date.now() - start > patience) throw new Error("what was waited for did not come");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
