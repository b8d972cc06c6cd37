import type { Duplex } from "node:stream";
import { InputError } from "@intremap/core";

interface Exchange {
  /** Answers that are still to come. */
  left: number;
  readonly values: string[];
  readonly resolve: (values: string[]) => void;
  readonly reject: (error: Error) => void;
}

const newline = 0x0a;
/** "OK" and nothing else. */
const bare = 2;

/** The qtest protocol over a socket: commands as lines, each answered by a line, many under way at a time. */
export class Qtest {
  readonly #socket: Duplex;
  readonly #name: string;
  readonly #patience: number;
  readonly #waiting: Exchange[] = [];
  #first = 0;
  #partial: Buffer[] = [];
  #failure: InputError | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #onFailure: (reason: InputError) => void;

  /**
   * @param patience milliseconds without any answer after which the other side is taken to hang.
   * @param onFailure told, once, of a hang or an answer that is none.
   */
  constructor(
    socket: Duplex,
    options: {
      readonly name: string;
      readonly patience: number;
      readonly onFailure: (reason: InputError) => void;
    },
  ) {
    this.#socket = socket;
    this.#name = options.name;
    this.#patience = options.patience;
    this.#onFailure = options.onFailure;
    socket.on("data", (chunk: Buffer) => this.#feed(chunk));
  }

  /**
   * Sends commands.
   * @returns what was answered to those that answer more than `OK`, in order.
   */
  exchange(commands: readonly string[]): Promise<string[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ left: commands.length, values: [], resolve, reject });
      this.#socket.write(`${commands.join("\n")}\n`, "latin1");
      // Who waits is kept alive by the other side's process; a machine that was stopped shall keep nobody.
      this.#timer ??= setTimeout(() => this.#expired(), this.#patience).unref();
    });
  }

  /** Whether commands are still unanswered. */
  get busy(): boolean {
    return this.#first < this.#waiting.length;
  }

  /** Ends every exchange with an error; later ones fail at once. */
  fail(reason: InputError): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    clearTimeout(this.#timer);
    const waiting = this.#waiting.splice(this.#first);
    for (const { reject } of waiting) reject(reason);
  }

  #expired(): void {
    this.#timer = undefined;
    this.#break(`no answer within ${this.#patience / 1000} s`);
  }

  #break(how: string): void {
    const reason = new InputError(`${this.#name}: ${how}`);
    this.fail(reason);
    this.#onFailure(reason);
  }

  #feed(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#timer?.refresh();
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      if (this.#partial.length === 0) this.#answer(chunk, start, end);
      else {
        this.#partial.push(chunk.subarray(0, end));
        const whole = Buffer.concat(this.#partial);
        this.#partial = [];
        this.#answer(whole, 0, whole.length);
      }
      start = end + 1;
    }
    if (start < chunk.length) this.#partial.push(chunk.subarray(start));
  }

  #answer(bytes: Buffer, start: number, end: number): void {
    const exchange = this.#waiting[this.#first];
    const isAnswer = bytes[start] === 0x4f && bytes[start + 1] === 0x4b && end - start >= bare;
    if (exchange === undefined || !isAnswer) {
      if (this.#failure !== undefined) return;
      const text = bytes.toString("latin1", start, Math.min(end, start + 80));
      this.#break(`answered "${text.replaceAll(/[^\x20-\x7e]/g, "?")}", expected OK`);
      return;
    }
    if (end - start > bare) exchange.values.push(bytes.toString("latin1", start + bare + 1, end));
    if (--exchange.left > 0) return;
    this.#first++;
    if (this.#first === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#first = 0;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    exchange.resolve(exchange.values);
  }
}
