import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../evidence/input-error.ts";
import { Check } from "./check.ts";
import { TracedDriver, checkLines } from "./testing/traced-driver.ts";

describe("a check", () => {
  test("takes the strict profile of the trace's vendor unless told", () => {
    expect(new TracedDriver().bringUp().check()).toMatchObject({ vendor: "intel", profile: "vtd-strict" });
    expect(checkLines(["amdvi_all_inval Invalidation of all AMD-Vi cache requested "])).toMatchObject({
      vendor: "amd",
      profile: "amdvi-strict",
    });
  });

  test("says which profiles there are", () => {
    expect(() => new Check({ profile: "vtd" })).toThrow(/^profile "vtd": expected one of vtd-strict, /);
    expect(() => new TracedDriver().bringUp().check("amdvi-strict")).toThrow(
      /^profile "amdvi-strict" is not for the unit of this trace, VT-d: expected one of vtd-strict, /,
    );
  });

  test("refuses a log without an event of a unit", () => {
    expect(() => checkLines(["ioapic_set_irq vector: 4 level: 0"])).toThrow(
      new InputError("nothing to check in 1 lines: expected vtd_* or amdvi_* events of a QEMU trace log"),
    );
  });

  test("counts lines, ignored events and lines that it cannot use", () => {
    const result = checkLines([
      ...new TracedDriver().bringUp().lines,
      "vtd_reg_write addr 0x1001 size 0x4 value 0x0",
      "vtd_ir_irte_get index 70000 low 0x0 high 0x0",
      "vtd_nonsense",
    ]);
    expect(result.lines).toBe(21);
    expect(result.ignored).toMatchObject({ vtd_inv_qi_fetch: 1, vtd_inv_qi_head: 2 });
    expect(result.skipped).toEqual({
      "register write that the specification does not allow": { count: 1, line: 19 },
      "table index past 65535": { count: 1, line: 20 },
      "unknown event vtd_nonsense": { count: 1, line: 21 },
    });
  });

  test("is the same however the log is cut", () => {
    const driver = new TracedDriver()
      .queue()
      .table()
      .command(0x600_0000)
      .use(3, 0x30, 0x18)
      .use(3, 0x31, 0x18);
    const bytes = Uint8Array.from(`${driver.lines.join("\n")}\n`, (char) => char.charCodeAt(0));
    const whole = driver.check();
    expect(whole.hazardCount).toBe(3);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 8 }), (cuts) => {
        const check = new Check();
        let from = 0;
        for (const to of [...cuts.sort((a, b) => a - b), bytes.length]) {
          check.feed(bytes.slice(from, to));
          from = to;
        }
        expect(check.finish()).toEqual(whole);
      }),
    );
  });
});
