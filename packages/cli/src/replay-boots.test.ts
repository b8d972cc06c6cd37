import { Replay } from "@intremap/core";
import { beforeAll, describe, expect, test } from "vitest";
import { type Boot, bootLines, replayLines } from "./testing/captured-boot.ts";

const boots = { intel: [] as string[], amd: [] as string[] };

beforeAll(async () => {
  boots.intel = await bootLines("intel");
  boots.amd = await bootLines("amd");
});

const rows: [Boot, string, number][] = [
  ["intel", "vtd-strict", 1642],
  ["intel", "vtd-line-cache", 1642],
  ["intel", "vtd-caching-mode", 1642],
  ["intel", "vtd-non-coherent", 1642],
  ["intel", "vtd-qemu-7.2", 1642],
  ["intel", "vtd-qemu-10.0", 1642],
  ["intel", "vtd-qemu-11.1", 1642],
  ["amd", "amdvi-strict", 5781],
  ["amd", "amdvi-qemu-7.2", 5781],
  ["amd", "amdvi-qemu-10.0", 5781],
  ["amd", "amdvi-qemu-11.1", 5781],
];

describe("a boot that QEMU recorded", () => {
  test.each(rows)("%s under %s agrees on every one of its %i requests", (boot, profile, requests) => {
    const result = replayLines(boots[boot], { profile });
    expect(result).toMatchObject({
      profile,
      requests,
      agreed: requests,
      disagreed: [],
      disagreedCount: 0,
      skipped: {},
    });
  });

  test("is replayed under the newest QEMU's profile of its vendor unless told", () => {
    expect(replayLines(boots.intel)).toMatchObject({ vendor: "intel", profile: "vtd-qemu-11.1" });
    expect(replayLines(boots.amd)).toMatchObject({ vendor: "amd", profile: "amdvi-qemu-11.1" });
  });

  test("counts each source-id check that an unknown requester kept from being made", () => {
    expect(replayLines(boots.intel).notChecked).toEqual({ sourceId: 1641 });
  });

  test("counts each index that was not held against an unknown table length, where the profile would", () => {
    expect(replayLines(boots.amd).notChecked).toEqual({});
    expect(replayLines(boots.amd, { profile: "amdvi-strict" }).notChecked).toEqual({
      tableLength: 5780,
      invalidatedDevice: 1190,
    });
  });

  test("tells Intel requesters apart by the source id of their entries", () => {
    expect(
      replayLines(boots.intel).requesters.map(({ requester, requests, entries }) => [
        requester,
        requests,
        entries,
      ]),
    ).toEqual([
      ["unknown", 1, 0],
      ["ff:00.0", 1535, 5],
      ["00:03.0", 55, 4],
      ["01:00.0", 31, 2],
      ["00:04.0", 7, 2],
      ["00:05.0", 13, 3],
    ]);
  });

  test("tells AMD requesters with the same low byte apart by their tables", () => {
    expect(
      replayLines(boots.amd).requesters.map(({ requester, table, requests }) => [requester, table, requests]),
    ).toEqual([
      ["xx:14.0", null, 1],
      ["xx:14.0", "0x49ec000", 5646],
      ["xx:03.0", "0x64c6000", 65],
      ["xx:00.0", "0x65c0000", 31],
      ["xx:00.0", "0x65c6000", 8],
      ["xx:04.0", "0x65c4000", 8],
      ["xx:05.0", "0x692c000", 22],
    ]);
  });

  test("with time stamps and CRLF line ends reads the same", () => {
    const stamped = boots.intel.map(
      (line, i) => `4242@1700000000.${String(i % 1_000_000).padStart(6, "0")}:${line}\r`,
    );
    expect(replayLines(stamped)).toEqual(replayLines(boots.intel));
  });

  test("follows a device's MSI through the ten steps", () => {
    const { followed } = replayLines(boots.intel, { follow: "instructive" });
    expect(followed).toMatchObject({
      ordinal: 122,
      line: 69218,
      lastLine: 69223,
      requester: "00:03.0",
      requesterKnown: false,
      request: { address: 0xfee002d8n, data: 0 },
      index: 22,
      entry: { address: 0x1200160n, value: 0x40018_0000_0200_0023_000dn, cached: false },
      outcome: "remapped",
      message: { address: 0xfee0200cn, data: 0x4023 },
      delivery: { destination: 2, logical: true, deliveryMode: 0, vector: 35, level: false },
      agreed: true,
    });
    expect(followed!.steps.map(({ step, verdict }) => [step, verdict])).toEqual([
      [1, "held"],
      [2, "held"],
      [3, "held"],
      [4, "held"],
      [5, "held"],
      [6, "held"],
      [7, "held"],
      [8, "not checked"],
      [9, "held"],
      [10, "delivered"],
    ]);
  });

  test("follows the request of a line, and the one of a number", () => {
    expect(replayLines(boots.intel, { follow: { line: 69222 } }).followed).toMatchObject({ ordinal: 122 });
    expect(replayLines(boots.intel, { follow: { ordinal: 1 } }).followed).toMatchObject({
      outcome: "passed",
      rule: "vtd.ir.pass-through",
      index: null,
      entry: null,
    });
    expect(replayLines(boots.amd, { follow: "instructive" }).followed).toMatchObject({
      line: 11518,
      requester: "xx:03.0",
      index: 4,
      entry: { address: 0x64c6040n, width: 128, value: 0x23_0000_0000_0000_0841n },
      outcome: "remapped",
      delivery: { vector: 35, destination: 8 },
    });
  });

  test("sees an entry in the cache of a unit that keeps entries", () => {
    const { followed } = replayLines(boots.intel, { profile: "vtd-strict", follow: { ordinal: 124 } });
    expect(followed).toMatchObject({ index: 22, entry: { cached: true } });
  });
});

test("a log of any length is read in bounded memory", () => {
  const boot = Buffer.from(`${boots.intel.join("\n")}\n`);
  const copies = 14;
  const run = new Replay();
  const before = process.memoryUsage();
  for (let copy = 0; copy < copies; copy++) {
    for (let at = 0; at < boot.length; at += 65_521) run.feed(boot.subarray(at, at + 65_521));
  }
  const after = process.memoryUsage();
  expect(copies * boot.length).toBeGreaterThan(50e6);
  expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(64e6);
  expect(run.finish()).toMatchObject({
    lines: copies * boots.intel.length,
    requests: copies * 1642,
    agreed: copies * 1642,
  });
});
