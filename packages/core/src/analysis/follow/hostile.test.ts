import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TestHost } from "../host/testing/test-host.ts";
import { host, one, unitOf } from "./testing/followed-host.ts";

const word = wide(64);
const outcomes = ["delivered", "posted", "blocked", "lost", "not sent", "not known"];

function wide(bits: number): fc.Arbitrary<bigint> {
  return fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n });
}

describe("a host whose memory holds anything", () => {
  test("is followed without an error: VT-d", () => {
    fc.assert(
      fc.property(
        fc.record({
          entry: wide(128),
          message: fc.record({
            address: fc.oneof(
              word,
              wide(20).map((low) => 0xfee0_0000n | low),
            ),
            data: fc.nat(),
          }),
          gsts: fc.option(wide(32)),
          irta: fc.option(word),
          cap: fc.option(word),
          ecap: fc.option(word),
          base: fc.option(wide(52)),
          length: fc.option(fc.nat(1 << 20)),
          descriptor: fc.option(wide(512)),
          complete: fc.boolean(),
        }),
        ({ entry, message, gsts, irta, cap, ecap, base, length, descriptor, complete }) => {
          const test = host().irq(27, { message });
          const unit = unitOf(test);
          unit.registers.clear();
          for (const [name, value] of Object.entries({ GSTS: gsts, IRTA: irta, CAP: cap, ECAP: ecap })) {
            if (value !== null) unit.registers.set(name, test.fact(value));
          }
          delete unit.capability;
          delete unit.extendedCapability;
          delete unit.extendedMode;
          unit.table = test.fact({ base, length, width: 128, entries: new Map([[21, entry]]), complete });
          if (descriptor !== null) {
            const place = ((entry >> 96n) << 32n) | (((entry >> 38n) & 0x3ff_ffffn) << 6n);
            const owned = test.draft.descriptor(place, test.fact({ kind: "cpu", cpu: 0 }));
            owned.value = test.fact(descriptor);
          }
          expect(outcomes).toContain(one(test).outcome);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("is followed without an error: AMD-Vi", () => {
    fc.assert(
      fc.property(
        wide(256),
        wide(128),
        fc.option(word),
        fc.option(word),
        fc.nat(),
        fc.option(word),
        (device, entry, control, features, data, table) => {
          const test = new TestHost()
            .cpus(4)
            .amdvi()
            .device("00:03.0")
            .entry(0x18, data & 0x7ff, entry);
          const unit = test.draft.amdviUnit("ivhd0");
          unit.devices = test.fact(new Map([[0x18, device]]));
          delete unit.control;
          if (control !== null) unit.control = test.fact(control);
          if (features !== null) unit.features = test.fact(features);
          if (table !== null) unit.registers.set("DEV_TAB_BASE", test.fact(table));
          test.irq(40, { device: "00:03.0", message: { address: 0xfee0_0000n, data } });
          expect(outcomes).toContain(one(test, "irq 40").outcome);
        },
      ),
      { numRuns: 150 },
    );
  });
});
