import { type ChildProcess, spawn } from "node:child_process";
import { InputError } from "@intremap/core";

/** A QEMU on this machine, as it names itself. */
export interface QemuVersion {
  readonly path: string;
  /** `QEMU 10.0.2`. */
  readonly name: string;
  readonly major: number;
  readonly minor: number;
}

const firstLine = /^QEMU emulator version (\d+)\.(\d+)(\.\d+)?/;
const expected = "expected 7.2, or 10.0 or newer";
const full = 10;
const mostText = 4096;

/**
 * Asks a QEMU for its version.
 * @param patience milliseconds after which it is taken to hang.
 * @throws InputError when there is no such program, it does not answer, or its version is none that can be driven.
 */
export async function askVersion(path: string, patience: number): Promise<QemuVersion> {
  const text = await output(path, patience);
  const match = firstLine.exec(text);
  if (match === null) {
    const line = text
      .split("\n", 1)[0]!
      .slice(0, 80)
      .replaceAll(/[^\x20-\x7e]/g, "?");
    throw new InputError(`${path}: --version says "${line}", expected "QEMU emulator version …"`);
  }
  const [major, minor] = [Number(match[1]), Number(match[2])];
  const name = `QEMU ${major}.${minor}${match[3] ?? ""}`;
  if (major < full && !(major === 7 && minor === 2)) throw new InputError(`${path}: ${name}, ${expected}`);
  return { path, name, major, minor };
}

function output(path: string, patience: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (how: string): void => reject(new InputError(`${path}: ${how}`));
    const child = spawn(path, ["--version"], { stdio: ["ignore", "pipe", "ignore"], detached: true });
    const timer = setTimeout(() => {
      fail(`did not answer --version within ${patience / 1000} s`);
      killGroup(child);
      child.stdout.destroy();
    }, patience);
    let text = "";
    child.stdout.setEncoding("latin1");
    child.stdout.on("data", (piece: string) => {
      text = (text + piece).slice(0, mostText);
    });
    child.once("error", (error) => fail(whyNot(error)));
    child.once("close", (status) => {
      clearTimeout(timer);
      if (status === 0) resolve(text);
      else fail(`--version ended with status ${String(status)}, ${expected}`);
    });
  });
}

/** Why a program could not be run, in a few words. */
export function whyNot(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") {
    return "no such program; install qemu-system-x86 10.0 or newer, or name one with --qemu";
  }
  if (code === "EACCES") return "not a program that may be run; name another QEMU with --qemu";
  return `cannot be run: ${error.message}`;
}

/** Kills a process that leads a group, and all that it has started. */
export function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
