import { given } from "../state/given.ts";
import type { Question, Reply } from "./protocol.ts";
import type { TaskInput, TaskName, TaskResult } from "./tasks.ts";

declare global {
  /** The worker's program, as a function whose text is taken: `engine.js`. */
  var intremapEngine: (() => void) | undefined;
}

/** What went wrong, in one line for the reader of the page. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
  readonly progress: ((text: string) => void) | undefined;
}

let source: Promise<string> | undefined;

/** A script beside the page, loaded when it is first wanted; a report has it in itself. */
function engineSource(): Promise<string> {
  source ??= new Promise((resolve, reject) => {
    const made = (): void =>
      resolve(`var givenScenario=${JSON.stringify(given.scenario)};(${String(globalThis.intremapEngine)})()`);
    if (globalThis.intremapEngine !== undefined) {
      made();
      return;
    }
    const script = document.createElement("script");
    script.src = "./engine.js";
    script.addEventListener("load", made);
    script.addEventListener("error", () => {
      source = undefined;
      reject(new EngineError("engine.js is not beside this page: the folder is not complete"));
    });
    document.head.append(script);
  });
  return source;
}

/** A worker that runs the model. What it opened it keeps until it is stopped. */
export class Engine {
  #worker: Promise<Worker> | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  /**
   * @param progress told in words how far it is.
   * @throws EngineError when the input was wrong, or the engine was stopped.
   */
  async ask<Name extends TaskName>(
    task: Name,
    input: TaskInput<Name>,
    progress?: (text: string) => void,
  ): Promise<TaskResult<Name>> {
    this.#worker ??= this.#start();
    const started = this.#worker;
    const worker = await started;
    if (this.#worker !== started) throw new EngineError("stopped");
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, progress });
      worker.postMessage({ id, task, input } satisfies Question);
    });
  }

  /** Ends what runs; the next question starts anew. */
  stop(): void {
    void this.#worker?.then((worker) => worker.terminate());
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(new EngineError("stopped"));
    this.#waiting.clear();
  }

  async #start(): Promise<Worker> {
    const url = URL.createObjectURL(new Blob([await engineSource()], { type: "text/javascript" }));
    const worker = new Worker(url);
    worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.#hear(data));
    worker.addEventListener("error", ({ message }) => {
      for (const { reject } of this.#waiting.values()) reject(new EngineError(message));
      this.#waiting.clear();
      this.#worker = undefined;
    });
    return worker;
  }

  #hear(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    if (reply.kind === "progress") {
      waiting.progress?.(reply.text);
      return;
    }
    this.#waiting.delete(reply.id);
    if (reply.kind === "result") waiting.resolve(reply.result as never);
    else {
      const { message, expected } = reply;
      waiting.reject(new EngineError(expected ? message : `unexpected error: ${message}; please report it`));
    }
  }
}
