import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readCpuInfo } from "./cpuinfo.ts";

const text = `processor	: 0
vendor_id	: HygonGenuine
cpu family	: 15
apicid		: 3
initial apicid	: 9
flags		: fpu vme svm

processor	: 2
vendor_id	: HygonGenuine
apicid		: 4
flags		: fpu
`;

test("processors have their APIC ids, and the host the vendor and flags of the first", () => {
  expect(readCpuInfo(text)).toMatchObject({
    vendor: "amd",
    vendorLine: 2,
    flags: new Set(["fpu", "vme", "svm"]),
    processors: [
      { cpu: 0, apicId: 3, line: 1 },
      { cpu: 2, apicId: 4, line: 8 },
    ],
  });
});

test.each(["CentaurHauls", "", "GenuineIntelx"])("the vendor %j is nobody's", (vendor) => {
  expect(readCpuInfo(`processor: 0\nvendor_id: ${vendor}\n`).vendor).toBeNull();
});

test("a number that is none leaves the id unknown", () => {
  expect(readCpuInfo("processor: 0\napicid: 1.024\n").processors).toMatchObject([{ cpu: 0, apicId: null }]);
});

test("edited text is read without an exception", () => {
  fc.assert(
    fc.property(fc.nat({ max: text.length }), fc.nat({ max: 9 }), fc.string(), (at, cut, put) => {
      for (const { apicId } of readCpuInfo(text.slice(0, at) + put + text.slice(at + cut)).processors) {
        expect(apicId === null || Number.isSafeInteger(apicId)).toBe(true);
      }
    }),
  );
});
