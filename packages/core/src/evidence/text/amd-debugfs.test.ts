import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readAmdDebugfs } from "./amd-debugfs.ts";

const text = readFileSync(new URL("../fixtures/amd-debugfs.txt", import.meta.url), "latin1");
const read = readAmdDebugfs(text);

test("irqtbl has the entries of a device", () => {
  expect(read.tables).toHaveLength(1);
  const [table] = read.tables;
  expect(table).toMatchObject({ segment: 0, requester: 0x100, width: 128, cut: false });
  const low = [0x241n, 0x841n, 0x2041n, 0x8041n, 0x20041n, 0x80041n, 0x200041n, 0x800041n];
  expect([...table!.entries]).toEqual(low.map((word, index) => [index, (0x20n << 64n) | word]));
});

test("devtbl has device table entries and the unit that they are of", () => {
  expect(read.devices).toMatchObject([{ segment: 0, requester: 0x100, unit: 3 }]);
  expect(read.devices[0]!.entry).toBe(0x0000000000000000_20000001373b8013_0000000000000038_6000000114d7b603n);
});

test("cmdbuf has commands, first word lowest", () => {
  const { queue } = readAmdDebugfs(
    "CMD Buffer Head Offset:1 Tail Offset:2\n  0: 00835001 10000001 00003c00 00000000\n  1: 00000000 30000005 fffff003 7fffffff\n",
  );
  expect(queue).toMatchObject({ head: 1, tail: 2 });
  expect(queue!.commands).toEqual([0x00003c00_10000001_00835001n, 0x7fffffff_fffff003_30000005_00000000n]);
});

test("mmio has a register by its offset", () => {
  expect(readAmdDebugfs("$ Offset:0x18 Value:0x000c22000003f48d\n").registers).toEqual([
    { offset: 0x18, value: 0x000c_2200_0003_f48dn, line: 1 },
  ]);
});

test("entries of 32 bits, and rows of the first patches, are read", () => {
  const { tables } = readAmdDebugfs(
    "DeviceId 0000:01:00.0\nIRT[0003] 00240241\nDeviceId 0002:41:00.1\r\nIRT[0000] 00000000000000200000000000000241\r\n",
  );
  expect(
    tables.map(({ width, segment, requester, entries }) => [width, segment, requester, [...entries]]),
  ).toEqual([
    [32, 0, 0x100, [[3, 0x0024_0241n]]],
    [128, 2, 0x4101, [[0, (0x20n << 64n) | 0x241n]]],
  ]);
});

test("messages are understood and say nothing", () => {
  const said = readAmdDebugfs("Interrupt remapping is disabled\nIRQ lookup table not set for 0000:00:14:0\n");
  expect(said).toMatchObject({ tables: [], devices: [], queue: null });
  expect(said.lines.size).toBe(2);
});

test("rows without their device belong to nobody, and an omission is noticed", () => {
  expect(readAmdDebugfs("IRT[0000] 0000000000000020 0000000000000241\n").tables).toEqual([]);
  expect(readAmdDebugfs("DeviceId 0000:01:00.0\n[...]\n").tables[0]!.cut).toBe(true);
});

test("edited text is read without an exception", () => {
  fc.assert(
    fc.property(fc.nat({ max: text.length }), fc.nat({ max: 9 }), fc.string(), (at, cut, put) => {
      readAmdDebugfs(text.slice(0, at) + put + text.slice(at + cut));
    }),
  );
});
