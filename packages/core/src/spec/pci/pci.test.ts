import { expect, test } from "vitest";
import { decode, encode, validate } from "../codec.ts";
import type { Layout } from "../layout.ts";
import { pciMemoryBar } from "./config-header.ts";
import {
  msiCapability32,
  msiCapability32Masking,
  msiCapability64,
  msiCapability64Masking,
  msiControl,
} from "./msi.ts";
import { msixCapability, msixTableEntry } from "./msix.ts";

function fromBytes(hex: string): bigint {
  return BigInt(`0x${hex.match(/../g)!.toReversed().join("")}`);
}

test("the capabilities of QEMU's e1000e, as a Linux guest left them, are taken apart", () => {
  expect(decode(msiCapability64, fromBytes("05e0800000000000000000000000"))).toEqual({
    id: 5,
    next: 0xe0,
    en: 0,
    mmc: 0,
    mme: 0,
    c64: 1,
    pvm: 0,
    address: 0,
    data: 0,
  });
  expect(decode(msixCapability, fromBytes("110004800300000003200000"))).toEqual({
    id: 0x11,
    next: 0,
    size: 4,
    fm: 0,
    en: 1,
    tablebir: 3,
    tableoffset: 0,
    pbabir: 3,
    pbaoffset: 0x2000,
  });
});

test("address, data, mask and pending bits follow the control where the flags say", () => {
  const address = 0xfee00338;
  const common = { address, data: 0x1234 };
  expect(encode(msiCapability32, common)).toBe((0x1234n << 64n) | (BigInt(address) << 32n));
  expect(encode(msiCapability64, common)).toBe((0x1234n << 96n) | (BigInt(address) << 32n));
  expect(encode(msiCapability32Masking, { mask: 1, pending: 2 })).toBe((1n << 96n) | (2n << 128n));
  expect(encode(msiCapability64Masking, { mask: 1, pending: 2 })).toBe((1n << 128n) | (2n << 160n));
});

test.each([
  { layout: msiControl as Layout, fields: { mme: 6 }, rule: "pci.msi.count-reserved" },
  { layout: msiControl as Layout, fields: { mmc: 7 }, rule: "pci.msi.count-reserved" },
  { layout: msixCapability as Layout, fields: { tablebir: 6 }, rule: "pci.msix.bir-reserved" },
  { layout: msixCapability as Layout, fields: { pbabir: 7 }, rule: "pci.msix.bir-reserved" },
  { layout: msixTableEntry as Layout, fields: { alignment: 1 }, rule: "pci.msix.address-alignment" },
  { layout: pciMemoryBar as Layout, fields: { type: 1 }, rule: "pci.bar.type" },
])("$fields of $layout.name breaks $rule", ({ layout, fields, rule }) => {
  expect(validate(layout, encode(layout, fields)).map((violation) => violation.rule)).toEqual([rule]);
  expect(validate(layout, 0n)).toEqual([]);
});
