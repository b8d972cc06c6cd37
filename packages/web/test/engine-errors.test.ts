import { beforeAll, expect, test, vi } from "vitest";
import type { Engine } from "../src/engine/engine.ts";
import type { Question, Reply } from "../src/engine/protocol.ts";

/** Answers every question with what is said here. */
let answer: Pick<Extract<Reply, { kind: "error" }>, "message" | "expected">;

class AnsweringWorker {
  #hear: (event: { data: Reply }) => void = () => {};

  addEventListener(kind: string, hear: (event: { data: Reply }) => void): void {
    if (kind === "message") this.#hear = hear;
  }

  postMessage({ id }: Question): void {
    queueMicrotask(() => this.#hear({ data: { id, kind: "error", ...answer } }));
  }
}

let engine: Engine;
beforeAll(async () => {
  vi.stubGlobal("document", { querySelector: () => null });
  vi.stubGlobal("intremapEngine", () => {});
  vi.stubGlobal("Worker", AnsweringWorker);
  engine = new (await import("../src/engine/engine.ts")).Engine();
});

test.each([
  [true, "a file: it is empty", "a file: it is empty"],
  [false, "x is undefined", "unexpected error: x is undefined; please report it"],
])("an error is the input's, or is said to be the program's: %j", async (expected, message, shown) => {
  answer = { message, expected };
  await expect(engine.ask("openPackedHost", "{}")).rejects.toMatchObject({
    name: "EngineError",
    message: shown,
  });
});
