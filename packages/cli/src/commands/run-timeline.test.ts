import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { callRun, changed } from "../testing/run-call.ts";

const folder = mkdtempSync(join(tmpdir(), "intremap-run-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string): string {
  return join(folder, name);
}

const protoc = spawnSync("protoc", ["--version"]).status === 0;
if (!protoc) console.warn("skipped: protoc is not here, which reads traces");

describe("--timeline", () => {
  test.skipIf(!protoc).each([
    ["passthrough-posted", ["nic", "APIC 1", "guest/0", "vector f2h"]],
    ["virtio-blk-msi", ["guest/0", "guest: CPU 0/KVM", "qemu-system-x86", "virtio_blk_rw_complete"]],
    ["amd-avic", ["nic", "APIC 1", "guest/0", "posted"]],
    ["vcpu-halts-and-wakes", ["APIC 1", "vector f1h", "pi_wakeup_handler"]],
  ])("of %s is a trace that protoc reads, with %j", async (scenario, seen) => {
    const path = file(`${scenario}.pftrace`);
    const { status, err } = await callRun([scenario, "--timeline", path]);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    const { status: read, stdout } = spawnSync("protoc", ["--decode_raw"], {
      input: readFileSync(path),
      maxBuffer: 1 << 28,
    });
    expect(read).toBe(0);
    for (const name of seen) expect(stdout.toString()).toContain(`"${name}"`);
  });

  test("is of the first of two runs, and does not change its result", async () => {
    const path = file("beside.pftrace");
    const { status, out } = await callRun(["vfio-msix-enable", "--timeline", path]);
    expect({ status, out }).toEqual({ status: 0, out: (await callRun(["vfio-msix-enable"])).out });
    const alone = readFileSync(path);
    await callRun(["vfio-msix-enable", "--timeline", path, "--compare", "hostile-device"]);
    expect(readFileSync(path).equals(alone)).toBe(true);
  });

  test("is not there after a run that failed, and one from before is as it was", async () => {
    const missing = changed("devices: [nic] }", "devices: [nic], disk: { image: none.img } }");
    for (const path of [file("new.pftrace"), file("old.pftrace")]) {
      const before = path.includes("old") ? "what was here before" : null;
      if (before !== null) writeFileSync(path, before);
      const { status, out, err } = await callRun(["-", "--timeline", path], missing);
      expect({ status, out }).toEqual({ status: 2, out: "" });
      expect(err).toMatch(/^intremap: none\.img: no such file\n$/);
      expect(existsSync(path) ? readFileSync(path, "utf8") : null).toBe(before);
    }
    expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("that cannot be written ends in one line", async () => {
    mkdirSync(file("folder"));
    for (const [path, message] of [
      [file("folder"), "is a directory"],
      ["/nowhere/trace", "no such folder"],
    ]) {
      const { status, out, err } = await callRun(["vfio-msix-enable", "--timeline", path!]);
      expect({ status, out }).toEqual({ status: 2, out: "" });
      expect(err).toBe(`intremap: --timeline ${path}: ${message}\n`);
    }
    expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
  });
});
