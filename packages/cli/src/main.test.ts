import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { packedCommand } from "./testing/packed-command.ts";

function start(...args: string[]): ReturnType<typeof spawn> {
  return spawn(process.execPath, [packedCommand(), ...args], {
    env: { ...process.env, NO_COLOR: "1" },
  });
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = "";
  for await (const chunk of stream) all += String(chunk);
  return all;
}

test(
  "the program ends with the command's status and keeps messages on stderr",
  { timeout: 30_000 },
  async () => {
    const child = start("explain", "--json");
    child.stdin!.end("DMAR: [INTR-REMAP] Request device [00:01.0] fault index 0x1 [fault reason 0x22] x");
    const [out, err, [status]] = await Promise.all([
      text(child.stdout!),
      text(child.stderr!),
      once(child, "close"),
    ]);
    expect({ status: status as number, err }).toEqual({ status: 1, err: "" });
    expect(JSON.parse(out)).toMatchObject({ findings: [{ reason: 0x22 }] });
  },
);

function faultOf(device: number): string {
  const two = (device & 0xff).toString(16).padStart(2, "0");
  return `DMAR: [INTR-REMAP] Request device [${two}:00.0] fault index 0x${device} [fault reason 0x22] x\n`;
}

test("a reader that goes away ends the program without a word", { timeout: 30_000 }, async () => {
  const child = start("explain");
  child.stdout!.destroy();
  child.stdin!.on("error", () => {});
  child.stdin!.end(Array.from({ length: 2000 }, (_, device) => faultOf(device)).join(""));
  const [err] = await Promise.all([text(child.stderr!), once(child, "close")]);
  expect(err).toBe("");
});

test(
  "an interrupt from the keyboard ends the program with 130 and without a word",
  { timeout: 30_000 },
  async () => {
    const child = start("explain");
    // More than a pipe holds: once it is written the program is reading, and waits for the end.
    await new Promise((resolve) => child.stdin!.write("x\n".repeat(500_000), resolve));
    child.kill("SIGINT");
    const [err, [status]] = await Promise.all([text(child.stderr!), once(child, "close")]);
    expect({ status: status as number, err }).toEqual({ status: 130, err: "" });
  },
);
