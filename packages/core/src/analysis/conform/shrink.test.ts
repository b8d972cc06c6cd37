import { expect, test } from "vitest";
import type { JsonObject } from "../../spec/shape.ts";
import { generateCase } from "./generate.ts";
import type { CaseRecord } from "./recording.ts";
import { shrinkCase } from "./shrink.ts";

const requests = (record: CaseRecord): JsonObject[] =>
  (record["steps"] as JsonObject[]).flatMap(({ msi }) => (msi === undefined ? [] : [msi as JsonObject]));

const asked =
  (holds: (record: CaseRecord) => boolean, counts?: number[]) => (records: readonly CaseRecord[]) => {
    counts?.push(records.length);
    return Promise.resolve(records.map(holds));
  };

test("everything goes that is not needed", async () => {
  const record: CaseRecord = {
    id: "a",
    setup: {
      requester: "0x20",
      irtes: { "0x5": { p: 1, v: "0x41" }, "0x6": { p: 1 } },
      memory: { "0x0": 1 },
    },
    steps: [
      { clearRecord: 0 },
      { msi: { address: "0xfee000b8", data: "0x10013" }, repeat: 9, expect: { registers: { GSTS: {} } } },
      { submit: [{ wait: { sw: 1 } }, { iec: {} }] },
    ],
  };
  const small = await shrinkCase(
    record,
    asked((one) => {
      const { irtes } = (one["setup"] ?? {}) as { irtes?: JsonObject };
      const [request] = requests(one);
      return irtes?.["0x5"] !== undefined && (Number(request?.["data"] ?? 0) & 0x1_0000) !== 0;
    }),
  );
  expect(small).toEqual({
    id: "a",
    setup: { irtes: { "0x5": {} } },
    steps: [{ msi: { data: "0x10000" } }],
  });
});

test("repetitions are cut down to those that are needed", async () => {
  const record: CaseRecord = { id: "a", setup: {}, steps: [{ msi: { address: "0xfee00000" }, repeat: 300 }] };
  const small = await shrinkCase(
    record,
    asked((one) => Number((one["steps"] as JsonObject[])[0]!["repeat"]) >= 17),
  );
  expect(small["steps"]).toEqual([{ repeat: 17 }]);
});

test("a case that cannot be made smaller stays as it is", async () => {
  const record = generateCase("intel", 1, 1);
  expect(
    await shrinkCase(
      record,
      asked(() => false),
    ),
  ).toBe(record);
});

test("no more cases are tried than may be, and the last that showed it is kept", async () => {
  const counts: number[] = [];
  const record = generateCase("amd", 1, 3);
  const small = await shrinkCase(
    record,
    asked((one) => requests(one).length > 0, counts),
    40,
  );
  expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(40);
  expect(requests(small).length).toBeGreaterThan(0);
  expect(JSON.stringify(small).length).toBeLessThan(JSON.stringify(record).length);
});
