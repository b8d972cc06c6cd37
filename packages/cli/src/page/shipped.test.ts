import { spawn } from "node:child_process";
import { once } from "node:events";
import { unpackHost } from "@intremap/core";
import { expect, test } from "vitest";
import { capturePath } from "../testing/captured-host.ts";
import { packedCommand } from "../testing/packed-command.ts";

test(
  "the packed command serves the page that lies beside it until it is interrupted from the keyboard",
  { timeout: 60_000 },
  async () => {
    const from = ["--from", capturePath("intel61-hold")];
    const child = spawn(process.execPath, [packedCommand(), "serve", "--no-open", ...from]);
    try {
      let said = "";
      child.stderr.on("data", (text) => (said += String(text)));
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const address = line.toString().trim();
      expect(await (await fetch(`${address}engine.js`)).text()).toBe("this is engine.js");
      expect(unpackHost(await (await fetch(`${address}host`)).text()).processors).toHaveLength(4);
      child.kill("SIGINT");
      const [status] = (await once(child, "close")) as [number];
      expect({ status, said }).toEqual({ status: 130, said: "" });
    } finally {
      child.kill("SIGKILL");
    }
  },
);
