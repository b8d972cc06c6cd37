import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { InputError } from "@intremap/core";
import { LogFile } from "./log-file.ts";
import { killGroup, whyNot } from "./version.ts";

/** Lines at the end of the log in which a reason for an unexpected end is looked for. */
const lastLines = 400;
const firstSocket = 3;

/** Shell that becomes the program of its arguments; before that it leaves behind who kills both once its input ends. */
function watched(sockets: number): string {
  const closed = Array.from({ length: sockets }, (_, i) => `${firstSocket + i}<&-`).join(" ");
  return `exec 9<&0 </dev/null; (exec ${closed}; read -r _ <&9; kill -s KILL 0) & exec 9<&-; exec "$@"`;
}

/**
 * A process that does not outlive this one. It is killed when this one ends by itself or by a signal that it sees; for
 * the others a shell waits beside it, in its group, for the end of a standard input whose other end is here.
 */
export class Child {
  readonly log: LogFile;
  /** Sockets that the process has as its descriptors 3 and up. */
  readonly sockets: readonly Duplex[];
  readonly #name: string;
  readonly #process: ChildProcess;
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
    this.#process = spawn("/bin/sh", ["-c", watched(options.sockets), "sh", path, ...args], {
      stdio: ["pipe", descriptor, descriptor, ...pipes],
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
    // Nothing is ever written to it, and nobody waits for it.
    this.#process.stdin?.on("error", () => {});
    (this.#process.stdin as { unref?: () => void } | null)?.unref?.();
    process.on("exit", this.stop);
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
    this.#process.stdin?.destroy();
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
