import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { InputError } from "@intremap/core";
import { LogFile } from "./log-file.ts";
import { killGroup, whyNot } from "./version.ts";

/** Lines at the end of the log in which a reason for an unexpected end is looked for. */
const lastLines = 400;
const firstSocket = 3;

/**
 * A process that does not outlive this one. It is killed when this one ends by itself or by a signal that it sees; for the
 * others a small shell waits beside it, whose standard input ends when this process does.
 */
export class Child {
  readonly log: LogFile;
  /** Sockets that the process has as its descriptors 3 and up. */
  readonly sockets: readonly Duplex[];
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #watcher: ChildProcess | undefined;
  readonly #onEnd: (reason: InputError) => void;
  #stopped = false;
  #remembered = "";

  /**
   * @param name how messages call it.
   * @param onEnd told, once, when the process ends although nobody stopped it, or could not be started.
   */
  constructor(
    path: string,
    args: readonly string[],
    options: {
      readonly name: string;
      readonly sockets: number;
      readonly onEnd: (reason: InputError) => void;
    },
  ) {
    this.#name = options.name;
    this.#onEnd = options.onEnd;
    this.log = new LogFile();
    const { descriptor } = this.log;
    const pipes = Array.from({ length: options.sockets }, () => "pipe" as const);
    this.#process = spawn(path, args, {
      stdio: ["ignore", descriptor, descriptor, ...pipes],
      // Ctrl-C on a terminal goes to every process of the group; this one shall end by our hand.
      detached: true,
    });
    this.sockets = pipes.map((_, i) => this.#process.stdio[firstSocket + i] as Duplex);
    // An end is told by the process; a socket that it takes along says nothing new.
    for (const socket of this.sockets) socket?.on("error", () => {});
    this.#process.once("error", (error) => this.#ended(whyNot(error)));
    this.#process.once("exit", (status, signal) => {
      this.#ended(signal === null ? `ended with status ${status}` : `ended by ${signal}`);
    });
    process.on("exit", this.stop);
    this.#watcher = this.#watch();
  }

  #watch(): ChildProcess | undefined {
    const { pid } = this.#process;
    if (pid === undefined) return undefined;
    const watcher = spawn("/bin/sh", ["-c", 'read -r _; kill -s KILL -- "-$1"', "sh", String(pid)], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    watcher.on("error", () => {});
    watcher.stdin?.on("error", () => {});
    watcher.unref();
    (watcher.stdin as unknown as { unref?: () => void }).unref?.();
    return watcher;
  }

  /** Keeps lines of the log that are no trace, to quote the last one if the process ends. */
  remember(line: string): void {
    this.#remembered = line;
  }

  /** Kills it. @returns whether that was still to be done. */
  readonly stop = (): void => {
    if (this.#stopped) return;
    this.#stopped = true;
    process.off("exit", this.stop);
    killGroup(this.#process);
    if (this.#watcher !== undefined) killGroup(this.#watcher);
    for (const socket of this.sockets) socket?.destroy();
    this.log.close();
  };

  #ended(how: string): void {
    if (this.#stopped) return;
    const said = this.#lastWords();
    this.stop();
    this.#onEnd(new InputError(`${this.#name}: ${how}${said === "" ? "" : `: ${said}`}`));
  }

  /** The last line of the log that is no trace of an event. */
  #lastWords(): string {
    const lines = Buffer.concat(Array.from(this.log.read(), (piece) => Buffer.from(piece)))
      .toString("latin1")
      .trimEnd()
      .split("\n")
      .slice(-lastLines);
    const spoken = lines.filter((line) => line.includes(": "));
    return (spoken.at(-1) ?? this.#remembered).slice(0, 200).trim();
  }
}
