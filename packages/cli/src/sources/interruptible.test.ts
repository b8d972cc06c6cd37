import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { interruptible } from "./interruptible.ts";

const module = new URL("interruptible.ts", import.meta.url).href;
/** A program that listens to signals, as the command does, and works without a pause. */
const program = `
  import { writeSync } from "node:fs";
  const { interruptible } = await import(${JSON.stringify(module)});
  process.on("SIGINT", () => process.exit(130));
  process.on("SIGTERM", () => process.exit(143));
  const until = (time) => { while (Date.now() < time); };
  interruptible(() => { writeSync(1, "working\\n"); until(Date.now() + 20_000); });
`;

const listener = (): void => {};

describe("long work", () => {
  test.each(["SIGINT", "SIGTERM"] as const)("is ended by %s at once", async (signal) => {
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    child.kill(signal);
    const [status, by] = (await once(child, "exit")) as [number | null, string | null];
    expect({ status, by }).toEqual({ status: null, by: signal });
  });

  test("leaves who listens as they were, whether it ends or fails", () => {
    process.on("SIGINT", listener);
    try {
      expect(interruptible(() => process.listenerCount("SIGINT"))).toBe(0);
      expect(process.listeners("SIGINT")).toContain(listener);
      expect(() =>
        interruptible(() => {
          throw new Error("failed");
        }),
      ).toThrow("failed");
      expect(process.listeners("SIGINT")).toContain(listener);
    } finally {
      process.off("SIGINT", listener);
    }
  });
});
