import { fileURLToPath } from "node:url";
import { type FollowedInterrupt, type HostState, follow } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { run } from "../program.ts";
import { readHost } from "../sources/host.ts";
import { testIo } from "../testing/test-io.ts";

function capture(name: string): string {
  return fileURLToPath(new URL(`../../../../captures/${name}.tar.xz`, import.meta.url));
}

function interruptsOf(state: HostState, subject: string): readonly FollowedInterrupt[] {
  const found = follow(state, subject);
  if (found.kind === "vcpu") throw new Error("interrupts were expected");
  return found.interrupts;
}

/** Bits of an entry, as the documents number them. */
function bits(value: bigint, high: number, low: number): number {
  return Number((value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n));
}

describe.each(["intel61-5G-strict-node", "intel61-hold"])("in the capture %s", (name) => {
  test("every present entry is followed to the vector and the processor that its bytes say", async () => {
    const state = await readHost(capture(name), testIo());
    const [unit] = state.units;
    if (unit?.vendor !== "intel") throw new Error("a VT-d unit was expected");
    const entries = [...unit.table!.value.entries].filter(([, value]) => bits(value, 0, 0) === 1);
    expect(entries.length).toBeGreaterThanOrEqual(27);
    for (const [index, value] of entries) {
      const [found] = interruptsOf(state, `dmar0:${index}`);
      const vector = bits(value, 23, 16);
      const logical = bits(value, 47, 40);
      expect(found).toMatchObject({
        outcome: "delivered",
        decision: {
          index,
          outcome: "remapped",
          delivery: { vector, destination: logical, logical: true, deliveryMode: 0, level: false },
        },
      });
      // xAPIC, flat: processor n has bit n.
      expect(found!.why).toBe(`CPU ${Math.log2(logical)} takes it as vector 0x${vector.toString(16)}.`);
    }
  });

  test.each<readonly [string, string, (value: bigint) => bigint]>([
    ["P=0", "vtd.ir.not-present", (value) => value & ~1n],
    ["a foreign SID", "vtd.ir.sid-mismatch", (value) => value ^ (0x100n << 64n)],
    ["SVT=3", "vtd.ir.entry-reserved", (value) => value | (3n << 82n)],
    ["a reserved bit", "vtd.ir.entry-reserved", (value) => value | (1n << 100n)],
    ["IM=1 on a unit that cannot post", "vtd.ir.entry-reserved", (value) => value | (1n << 15n)],
  ])("an entry that was given %s is found to block by %s, and no other", async (_, rule, edit) => {
    const state = await readHost(capture(name), testIo());
    const [unit] = state.units;
    if (unit?.vendor !== "intel") throw new Error("a VT-d unit was expected");
    const entries = unit.table!.value.entries as Map<number, bigint>;
    const place = [...entries].find(([, value]) => bits(value, 79, 64) === 0x18)!;
    const interrupt = state.interrupts.find(({ actions }) => actions?.value[0] === "virtio0-req.0")!;
    Object.assign(interrupt, {
      entry: { value: { unit: "dmar0", requester: null, index: place[0] }, origin: { source: "the test" } },
    });
    expect(interruptsOf(state, `irq ${interrupt.irq}`)[0]!.outcome).toBe("delivered");
    entries.set(place[0], edit(place[1]));
    expect(interruptsOf(state, `irq ${interrupt.irq}`)[0]).toMatchObject({ outcome: "blocked", rule });
    for (const [index, value] of entries) {
      if (index === place[0] || bits(value, 0, 0) === 0) continue;
      expect(interruptsOf(state, `dmar0:${index}`)[0]!.outcome).toBe("delivered");
    }
  });
});

test("in the AMD capture every enabled entry is followed to the vector and the processor that its bytes say", async () => {
  const state = await readHost(capture("amd61-q72"), testIo());
  const [unit] = state.units;
  if (unit?.vendor !== "amd") throw new Error("an AMD-Vi unit was expected");
  let followed = 0;
  for (const [requester, table] of unit.tables) {
    const name = `${(requester >> 8).toString(16).padStart(2, "0")}:${((requester >> 3) & 31).toString(16).padStart(2, "0")}.${requester & 7}`;
    for (const [index, value] of table.value.entries) {
      if (bits(value, 0, 0) === 0) continue;
      const [found] = interruptsOf(state, `ivhd0:${name}:${index}`);
      const [vector, destination] = [bits(value, 71, 64), bits(value, 15, 8)];
      expect(found).toMatchObject({
        outcome: "delivered",
        decision: { index, delivery: { vector, destination } },
      });
      expect(found!.why).toBe(`CPU ${Math.log2(destination)} takes it as vector 0x${vector.toString(16)}.`);
      followed++;
    }
  }
  expect(followed).toBeGreaterThanOrEqual(27);
});

test("the command prints each step, and one JSON document with --json", async () => {
  const io = testIo();
  const from = ["--from", capture("intel61-5G-strict-node")];
  expect(await run(["follow", "dmar0:22", ...from], io)).toBe(0);
  expect(io.out()).toContain("entry         0000000000040018");
  expect(io.out()).toMatch(/source-id verification +held +VT-d 5\.10 §5\.1\.4\.1 +requester 00:03\.0/);
  expect(io.out()).toContain("outcome       delivered: CPU");
  const json = testIo();
  expect(await run(["follow", "dmar0:22", "--json", ...from], json)).toBe(0);
  const document = JSON.parse(json.out()) as Record<string, never>;
  expect(document).toMatchObject({
    schema: "intremap/follow/1",
    subject: "dmar0:22",
    kind: "entry",
    interrupts: [{ outcome: "delivered", unit: "dmar0", decision: { request: { address: "0xfee002d8" } } }],
  });
});

test.each([
  [["dmar0:5"], 1],
  [["irq", "28"], 2],
  [["irq", "999"], 2],
])("follow %s ends with %i", async (subject, status) => {
  const io = testIo();
  expect(await run(["follow", ...subject, "--from", capture("intel61-5G-strict-node")], io)).toBe(status);
});
