import type { Duplex } from "node:stream";
import { InputError } from "@intremap/core";

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** QEMU's monitor protocol over a socket. */
export class Qmp {
  readonly #socket: Duplex;
  readonly #name: string;
  readonly #patience: number;
  #waiting: Waiting[] = [];
  #text = "";
  #failure: InputError | undefined;
  #negotiated = false;

  /** @param patience milliseconds after which the other side is taken to hang. */
  constructor(socket: Duplex, options: { readonly name: string; readonly patience: number }) {
    this.#socket = socket;
    this.#name = options.name;
    this.#patience = options.patience;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#feed(text));
  }

  /** Runs commands of the human monitor. @returns what each printed. */
  async human(commands: readonly string[]): Promise<string[]> {
    const executions: object[] = this.#negotiated ? [] : [{ execute: "qmp_capabilities" }];
    this.#negotiated = true;
    for (const line of commands)
      executions.push({ execute: "human-monitor-command", arguments: { "command-line": line } });
    const late = (): void => this.#break(`did not answer within ${this.#patience / 1000} s`);
    const timer = setTimeout(late, this.#patience).unref();
    try {
      const answers = await this.#execute(executions);
      return answers.slice(-commands.length).map(String);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends what is waited for with an error; later commands fail at once. */
  fail(reason: InputError): void {
    this.#failure ??= reason;
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  #break(how: string): void {
    this.fail(new InputError(`${this.#name}: its monitor ${how}`));
  }

  #execute(commands: readonly object[]): Promise<unknown[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const answers = commands.map(
      () => new Promise<unknown>((resolve, reject) => this.#waiting.push({ resolve, reject })),
    );
    this.#socket.write(`${commands.map((one) => JSON.stringify(one)).join("\n")}\n`);
    return Promise.all(answers);
  }

  #feed(text: string): void {
    this.#text += text;
    const lines = this.#text.split("\n");
    this.#text = lines.pop()!;
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    let message: { readonly return?: unknown; readonly error?: { readonly desc?: unknown } } | null;
    try {
      message = JSON.parse(line) as typeof message;
    } catch {
      message = null;
    }
    if (typeof message !== "object" || message === null) {
      this.#break(`answered "${line.slice(0, 80).replaceAll(/[^\x20-\x7e]/g, "?")}", expected JSON`);
    } else if (message.error !== undefined) {
      this.#break(`refused: ${String(message.error.desc)}`);
    } else if (message.return !== undefined) this.#waiting.shift()?.resolve(message.return);
  }
}
