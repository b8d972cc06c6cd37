import { expect, test } from "vitest";
import { printRequester } from "../spec/requester.ts";
import { Requesters } from "./requesters.ts";

test("requesters are told apart by id and table, and list what they used in order", () => {
  const requesters = new Requesters();
  requesters.count(0x18, -1, printRequester, 3, true, 40, 8);
  requesters.count(0x18, -1, printRequester, 1, false, 35, 2);
  requesters.count(0x18, 0x1000, printRequester, 1, true, 35, 1);
  requesters.count(0x18, -1, printRequester, -1, true, -1, 0);
  expect(requesters.rows()).toEqual([
    {
      requester: "00:03.0",
      table: null,
      entries: 2,
      requests: 3,
      agreed: 2,
      vectors: [35, 40],
      destinations: [2, 8],
    },
    {
      requester: "00:03.0",
      table: "0x1000",
      entries: 1,
      requests: 1,
      agreed: 1,
      vectors: [35],
      destinations: [1],
    },
  ]);
});

test("beyond a bound requesters and destinations are only counted", () => {
  const requesters = new Requesters();
  for (let id = 0; id < 5000; id++) requesters.count(id, -1, printRequester, 0, true, 35, id);
  for (let i = 0; i < 2000; i++) requesters.count(0, -1, printRequester, 0, true, 35, i);
  const rows = requesters.rows();
  expect(rows).toHaveLength(4097);
  expect(rows[0]).toMatchObject({ requests: 2001 });
  expect(rows[0]!.destinations).toHaveLength(1024);
  expect(rows.at(-1)).toMatchObject({ requester: "(further requesters)", requests: 904 });
});
