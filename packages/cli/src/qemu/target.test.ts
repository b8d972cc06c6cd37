import { spawnSync } from "node:child_process";
import { type Script, InputError } from "@intremap/core";
import { afterEach, describe, expect, test } from "vitest";
import { type Behaviour, type FakeQemu, fakeQemu, isAlive, until, upTo } from "../testing/fake-qemu.ts";
import { QemuTarget } from "./target.ts";

const patience = 400;
const longSleep = "exec sleep 1000";

let fake: FakeQemu | undefined;
let target: QemuTarget | undefined;

afterEach(() => {
  target?.stop();
  target = undefined;
  fake?.remove();
  fake = undefined;
});

function make(behaviour: Behaviour): string {
  fake = fakeQemu(behaviour);
  return fake.path;
}

async function failure(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  const { message } = error as InputError;
  expect(message).not.toContain("\n");
  return fake === undefined ? message : message.replace(fake.path, "QEMU");
}

/** What is left of the processes that were started. */
async function allGone(): Promise<void> {
  await until(() => fake!.started().every((one) => !isAlive(one)));
}

/** Living processes of a group. */
function inGroup(leader: number): number[] {
  const { stdout } = spawnSync("ps", ["-e", "-o", "pid=,pgid=,stat="], { encoding: "utf8" });
  const rows = stdout.split("\n").map((line) => line.trim().split(/\s+/));
  return rows
    .filter(([, group, state]) => Number(group) === leader && !state?.startsWith("Z"))
    .map(([pid]) => Number(pid));
}

const script: Script = {
  vendor: "intel",
  name: "one",
  scenes: [
    {
      deeds: [{ does: "msi", address: 0xfee0_0000, data: 0, requester: 0x18 }],
      registers: [],
      memory: [],
      apics: false,
    },
  ],
};

describe("a QEMU that cannot be driven is told of in one line:", () => {
  test("there is none", async () => {
    expect(await failure(QemuTarget.start("/nowhere/qemu", "intel"))).toBe(
      "/nowhere/qemu: no such program; install qemu-system-x86 10.0 or newer, or name one with --qemu",
    );
  });

  test("a folder", async () => {
    expect(await failure(QemuTarget.start("/tmp", "intel"))).toBe(
      "/tmp: not a program that may be run; name another QEMU with --qemu",
    );
  });

  test.each([
    ["echo QEMU emulator version 9.2.1", "QEMU: QEMU 9.2.1, expected 7.2, or 10.0 or newer"],
    ["echo QEMU emulator version 7.1", "QEMU: QEMU 7.1, expected 7.2, or 10.0 or newer"],
    ["echo QEMU emulator version 2.12.0 old", "QEMU: QEMU 2.12.0, expected 7.2, or 10.0 or newer"],
    ["echo hello; echo there", 'QEMU: --version says "hello", expected "QEMU emulator version …"'],
    ["printf '\\001\\377'", 'QEMU: --version says "??", expected "QEMU emulator version …"'],
    [":", 'QEMU: --version says "", expected "QEMU emulator version …"'],
    ["exit 3", "QEMU: --version ended with status 3, expected 7.2, or 10.0 or newer"],
    ["sleep 1000", "QEMU: did not answer --version within 0.4 s"],
  ])("its version: %s", async (version, message) => {
    const path = make({ version });
    expect(await failure(QemuTarget.start(path, "intel", { patience }))).toBe(message);
  });

  test.each([
    ["exit 1", "ended with status 1"],
    [
      "echo \"qemu: 'rocker' is not a valid device\" >&2; exit 1",
      "ended with status 1: qemu: 'rocker' is not a valid device",
    ],
    ["kill -SEGV $$", "ended by SIGSEGV"],
    [longSleep, "no answer within 0.4 s"],
    ["echo nonsense >&3; exec sleep 1000", 'answered "nonsense", expected OK'],
    ["printf '\\000\\001\\n' >&3; exec sleep 1000", 'answered "??", expected OK'],
    ["yes OK >&3; exec sleep 1000", 'answered "OK", expected OK'],
    [
      "while read -r x <&3; do echo OK 0x0 >&3; done",
      'writes no trace events; it must be built with the "log" trace backend',
    ],
  ])("its start: %s", async (machine, message) => {
    const path = make({ machine });
    const told = await failure(QemuTarget.start(path, "intel", { patience }));
    if (message.startsWith('answered "OK"'))
      expect(told).toMatch(/^QEMU: QEMU 10\.0\.2: (answered|ended|writes)/);
    else expect(told).toBe(`QEMU: QEMU 10.0.2: ${message}`);
    await allGone();
  });

  test.each([
    ["exit 7", "ended with status 7"],
    [
      "echo 'qemu: hw/x.c: Assertion failed' >&2; kill -ABRT $$",
      "ended by SIGABRT: qemu: hw/x.c: Assertion failed",
    ],
    ["sleep 1000", "no answer within 0.4 s"],
    ["echo FAIL Unknown command >&3", 'answered "FAIL Unknown command", expected OK'],
    ["echo OK >&3", "a scene has left no mark in the trace"],
  ])("its middle: %s", async (then, message) => {
    const path = make({ machine: upTo(then) });
    target = await QemuTarget.start(path, "intel", { patience });
    const work = target.run(Array.from({ length: 300 }, () => script));
    expect(await failure(work)).toBe(`QEMU: QEMU 10.0.2: ${message}`);
    // Nor is it asked again.
    await failure(target.run([script]));
    target.stop();
    await allGone();
  });
});

test("a QEMU behind a script is gone with it", async () => {
  const path = make({ machine: "sleep 1000" });
  const told = await failure(QemuTarget.start(path, "intel", { patience }));
  expect(told).toBe("QEMU: QEMU 10.0.2: no answer within 0.4 s");
  await allGone();
  const [leader] = fake!.started();
  expect(inGroup(leader!)).toEqual([]);
});

test("a QEMU that is stopped is gone, and so is what watched it", async () => {
  const path = make({ machine: upTo("sleep 1000") });
  target = await QemuTarget.start(path, "intel", { patience });
  expect(fake!.started().filter(isAlive)).toHaveLength(1);
  target.stop();
  await allGone();
});
