import { expect, test } from "vitest";
import { amdviProfileNamed, profileNames, vtdProfileNamed } from "./profile.ts";

test("every name is a profile of one vendor", () => {
  expect(new Set(profileNames).size).toBe(profileNames.length);
  for (const name of profileNames) {
    const found = [vtdProfileNamed(name), amdviProfileNamed(name)].filter((profile) => profile !== undefined);
    expect(found).toHaveLength(1);
  }
});

test("a vendor's QEMU without a version is the newest", () => {
  expect(vtdProfileNamed("vtd-qemu")?.name).toBe("vtd-qemu-11.1");
  expect(amdviProfileNamed("amdvi-qemu")?.name).toBe("amdvi-qemu-11.1");
});

test("an unknown name is no profile", () => {
  expect(vtdProfileNamed("vtd-qemu-1.0")).toBeUndefined();
  expect(amdviProfileNamed("vtd-strict")).toBeUndefined();
});
