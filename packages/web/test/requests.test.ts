import { tryRequest } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { contextIn, readSubject } from "../src/parts/subject.ts";
import {
  type Prepared,
  type RequestKind,
  pathQuery,
  prepare,
  readRequest,
  requestKinds,
} from "../src/parts/trial-of.ts";

type Query = Readonly<Record<string, string>>;

/** The request that Bits sends for an address. */
function ofBits(query: Query): Prepared {
  const context = contextIn(query);
  return prepare(readSubject(query, context), query, context);
}

const posted = "0000000000040018 0000000000518001";

describe("a request that Bits sends", () => {
  test.each<[string, Query]>([
    ["an entry", { kind: "irte", value: "0000000000040018 000002000022000d" }],
    [
      "an entry with a wide destination, EIME=0",
      { kind: "irte", value: "0000000000040018 010002000022000d", eime: "0" },
    ],
    ["a message in compatibility format that passes", { kind: "msi", value: "fee01000 0031", cfi: "1" }],
    ["a message to an AMD-Vi unit", { kind: "msi", value: "fee00000 0000", profile: "amdvi-strict" }],
    ["a descriptor whose ON is set", { kind: "pid" }],
    [
      "an entry that posts, and its descriptor",
      { kind: "irte", value: posted, pid: "1 0 0 0 0000010000f20000 0 0 0" },
    ],
    ["a device table entry", { kind: "dte" }],
    ["a device table entry that aborts", { kind: "dte", value: "0 0000001373b80013 0 3" }],
    ["an entry and its device's", { kind: "amd-irte", dte: "0 0 0 0" }],
    [
      "a short entry, from a requester with its segment",
      { kind: "amd-irte", value: "00310141", sid: "0000:03:00.0" },
    ],
    [
      "an AMD-Vi entry with a wide destination, XTEn=0",
      { kind: "amd-irte", value: "1100000000000031 0000002200000141", xten: "0" },
    ],
    ["an entry to hardware by its short name", { kind: "irte", profile: "vtd-qemu" }],
  ])("of %s ends in Path as it ends there", (_, query) => {
    const prepared = ofBits(query);
    const address = pathQuery(prepared);
    const kind = requestKinds.find((one) => address[one] !== undefined) as RequestKind;
    expect(tryRequest(readRequest(kind, address).trial)).toEqual(tryRequest(prepared.trial));
  });

  test.each<[string, Query, RegExp]>([
    ["hardware that there is not", { kind: "irte", profile: "nope" }, /there is no profile "nope"/],
    ["another vendor's hardware", { kind: "irte", profile: "amdvi-strict" }, /another vendor's/],
    ["a requester in another segment", { kind: "irte", sid: "0001:03:00.0" }, /bb:dd\.f/],
    ["a descriptor that is none", { kind: "irte", value: posted, pid: "zz" }, /hex digit/],
  ])("is refused with %s", (_, query, message) => {
    expect(() => ofBits(query)).toThrow(message);
  });
});
