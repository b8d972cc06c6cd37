import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AmdDriver, firstTable, on, plainLow } from "./testing/amd-driver.ts";

const allOn = on.iommu | on.commands | on.ga;
const missing = "amdvi.check.invalidation-missing";
const changed = "amdvi.check.entry-changed";
const deviceChanged = "amdvi.check.device-entry-changed";
const notWaited = "amdvi.check.not-waited";

/** A unit that is on, with one entry used. */
function used(): AmdDriver {
  return AmdDriver.started().interrupt();
}

function interrupts(driver: AmdDriver, count: number): AmdDriver {
  for (let i = 0; i < count; i++) driver.interrupt();
  return driver;
}

function usedAndChanged(driver: AmdDriver): AmdDriver {
  return driver.interrupt().interrupt({ high: 0x31n });
}

function write(name: string, offset: number, bytes: number, value: string): string {
  const at = (offset & ~7).toString(16);
  return `amdvi_mmio_write ${name} write addr 0x${offset.toString(16)}, size ${bytes}, val ${value}, offset 0x${at}`;
}

describe("the check of an AMD-Vi trace: entries", () => {
  test("finds an entry that changed with nothing invalidated, once, with what it was and is", () => {
    const driver = AmdDriver.started().interrupt({ index: 3 }).interrupt({ index: 3, high: 0x31n });
    driver.interrupt({ index: 3, high: 0x31n }).interrupt({ index: 3, high: 0x32n });
    const { hazards, hazardCount } = driver.check();
    expect(hazardCount).toBe(1);
    expect(hazards[0]).toMatchObject({ rule: changed, index: 3, requester: 0x18, since: 9, at: 16 });
    expect(hazards[0]!.found).toMatch(
      /^The entry of index 3 of xx:03\.0 is 0x31 0x141, was 0x30 0x141, and no INVALIDATE_INTERRUPT_TABLE .*; 2 times in all$/,
    );
  });

  test.each([
    ["INVALIDATE_INTERRUPT_TABLE", (driver: AmdDriver) => driver.invalidateTable().wait()],
    ["INVALIDATE_IOMMU_ALL", (driver: AmdDriver) => driver.invalidateAll().wait()],
  ])("forgives a change with %s behind it", (_name, invalidate) => {
    const driver = AmdDriver.started().interrupt();
    invalidate(driver).interrupt({ high: 0x31n });
    expect(driver.hazards()).toEqual([]);
  });

  test("does not take an invalidation of pages or of a device's entry for one of its table", () => {
    const driver = AmdDriver.started().interrupt().invalidatePages().invalidateDevice(0x18).wait();
    expect(driver.interrupt({ high: 0x31n }).hazards()).toEqual([changed]);
  });

  test("keeps tables, indices and devices apart", () => {
    const driver = AmdDriver.started().invalidateDevice(0x20).invalidateDevice(0x118).wait();
    driver.interrupt({ high: 0x30n }).interrupt({ index: 1, high: 0x31n });
    driver.interrupt({ device: 0x20, table: 0x2000_0000, high: 0x32n });
    driver.interrupt({ device: 0x118, table: 0x3000_0000, high: 0x33n }).interrupt({ high: 0x30n });
    expect(driver.hazards()).toEqual([]);
  });

  test.each([
    ["IsRun", { low: 0x2c1n }, []],
    ["GALogIntr", { low: 0x285n }, []],
    ["the destination", { low: 0x481n, high: 0x01000000_00000030n }, []],
    ["the GATag", { low: 0x7_0000_0281n }, []],
    ["the vector", { high: 0x31n }, [changed]],
    ["the backing page", { high: 0x1030n }, [changed]],
    ["the mode", { low: 0x241n }, [changed]],
  ])("knows that of a guest-mode entry %s is read anew, or kept", (_field, edit, hazards) => {
    const driver = AmdDriver.started(allOn | on.gam | on.xt);
    driver.interrupt({ low: 0x281n }).interrupt({ low: 0x281n, ...edit });
    expect(driver.hazards()).toEqual(hazards);
  });

  test("wants no invalidation of hardware that keeps nothing, or is told to", () => {
    expect(usedAndChanged(AmdDriver.started()).hazards("amdvi-qemu-11.1")).toEqual([]);
    expect(usedAndChanged(AmdDriver.started(allOn | on.cacheOff)).hazards()).toEqual([]);
  });

  test.each([
    ["amdvi.irte.reserved", { high: 0x130n }],
    ["amdvi.irte.int-type", { low: plainLow | 0x8n }],
    ["amdvi.irte.xapic-destination", { low: plainLow | 0x1_0000n }],
    ["amdvi.irte.guest-mode", { low: plainLow | 0x80n }],
    ["apic.vector.illegal-received", { high: 0xfn }],
  ])("finds what a real unit would not take: %s", (rule, edit) => {
    const driver = AmdDriver.started()
      .interrupt({ index: 5, ...edit })
      .interrupt({ index: 5, ...edit });
    expect(driver.check().hazards).toMatchObject([{ rule, index: 5, since: null }]);
  });

  test("lets a wide destination be with XTEn, guest mode with GAMEn, and anything in an entry with RemapEn=0", () => {
    expect(
      AmdDriver.started(allOn | on.xt)
        .interrupt({ low: plainLow | 0x1_0000n })
        .hazards(),
    ).toEqual([]);
    expect(
      AmdDriver.started(allOn | on.gam)
        .interrupt({ low: plainLow | 0x80n })
        .hazards(),
    ).toEqual([]);
    expect(AmdDriver.started().interrupt({ low: 0xffff_fffen, high: 0xffffn }).hazards()).toEqual([]);
  });

  test("reads entries of 32 bits", () => {
    const driver = AmdDriver.started(on.iommu | on.commands);
    const use = (entry: string): AmdDriver =>
      driver.line(
        "amdvi_ir_remap_msi_req addr 0xfee00000 data 0x2 devid 0x18",
        "amdvi_ir_intctl int_ctl 0x2",
        "amdvi_ir_irte addr 0x10000000 offset 0x8",
        `amdvi_ir_irte_val data ${entry}`,
      );
    use("0x300141");
    use("0x310141");
    expect(driver.check().hazards).toMatchObject([{ rule: changed, index: 2 }]);
    use("0x3001c1");
    expect(driver.hazards()).toEqual([changed, "amdvi.irte.guest-mode"]);
  });
});

describe("the check of an AMD-Vi trace: devices", () => {
  test("finds a table that moved with the device's entry not invalidated, or with the table's entries not", () => {
    const moved = { table: 2 * firstTable };
    expect(used().interrupt(moved).check().hazards).toMatchObject([
      { rule: deviceChanged, index: null, requester: 0x18 },
    ]);
    expect(used().invalidateDevice(0x18).wait().interrupt(moved).hazards()).toEqual([changed]);
    expect(used().invalidateTable().wait().interrupt(moved).hazards()).toEqual([deviceChanged]);
    expect(used().invalidateDevice(0x20).invalidateTable().wait().interrupt(moved).hazards()).toEqual([
      deviceChanged,
    ]);
    expect(used().invalidateDevice(0x18).invalidateTable().wait().interrupt(moved).hazards()).toEqual([]);
    expect(used().invalidateAll().wait().interrupt(moved).hazards()).toEqual([]);
  });

  test("finds IntCtl changed with the device's entry not invalidated", () => {
    expect(AmdDriver.started().interrupt().aborted().hazards()).toEqual([deviceChanged]);
    expect(AmdDriver.started().interrupt().invalidateDevice(0x18).wait().aborted().hazards()).toEqual([]);
  });

  test("takes a table that comes back for another device's", () => {
    const other = { table: 2 * firstTable };
    const { hazards, notChecked } = used().interrupt(other).interrupt().interrupt(other).check();
    expect(hazards).toEqual([]);
    expect(notChecked).toContainEqual(expect.objectContaining({ rule: deviceChanged }));
  });

  test("does not judge where several devices end in the same 8 bits", () => {
    const driver = AmdDriver.started()
      .invalidateDevice(0x118)
      .wait()
      .interrupt()
      .interrupt({ table: 2 * firstTable });
    expect(driver.hazards()).toEqual([]);
    expect(driver.check().notChecked).toContainEqual({
      rule: deviceChanged,
      why: "the trace gives 8 bits of a DeviceID, and several devices end in them",
      count: 1,
    });
  });

  test("takes a device that is named again behind a sweep over all for the one", () => {
    const driver = new AmdDriver().control(0n).control(allOn);
    for (let device = 0; device < 1024; device++) driver.invalidateDevice(device);
    driver.wait().invalidateTable().wait().invalidateDevice(0x118).wait();
    driver.interrupt().interrupt({ table: 2 * firstTable });
    expect(driver.check().hazards).toMatchObject([{ rule: deviceChanged, requester: 0x118 }]);
  });
});

describe("the check of an AMD-Vi trace: commands", () => {
  test("finds a wait with nothing to wait for, a hole in the buffer, and a command without a line", () => {
    expect(AmdDriver.started().wait().hazards()).toEqual([missing]);
    expect(AmdDriver.started().skip(1).wait().check().hazards).toMatchObject([
      {
        rule: missing,
        found: "The buffer's head goes from 0x30 to 0x40: one command between them left no line.",
      },
    ]);
    expect(AmdDriver.started().silent().wait().hazards()).toEqual([missing]);
    expect(AmdDriver.started().silent().hazards()).toEqual([missing]);
  });

  test("follows the buffer round, whatever is given, and finds each hole once", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 6 }), (steps) => {
        const driver = AmdDriver.started();
        for (const step of steps) {
          for (let i = 0; i < step; i++) driver.invalidateTable();
          driver.skip(3).invalidatePages().wait();
        }
        expect(driver.hazards()).toEqual(steps.map(() => missing));
      }),
      { numRuns: 30 },
    );
  });

  test("lets the buffer begin anew where it was turned off, or where its base was written", () => {
    const driver = AmdDriver.started()
      .skip(50)
      .control(on.iommu | on.ga)
      .control(allOn);
    expect(driver.invalidateTable().wait().hazards()).toEqual([]);
    driver
      .skip(7)
      .line(
        "amdvi_mmio_write AMDVI_MMIO_CMDBUF_BASE write addr 0x8, size 8, val 0x8000000049c6000, offset 0x8",
      );
    expect(driver.invalidateTable().wait().hazards()).toEqual([]);
  });

  test("takes a buffer at another place for another buffer", () => {
    const driver = AmdDriver.started().skip(9);
    driver.base += 0x1_0000;
    expect(driver.invalidateTable().wait().hazards()).toEqual([]);
    expect(driver.skip(9).invalidateTable().wait().hazards()).toEqual([missing]);
  });

  test("does not call a hole what hid an invalidation twice", () => {
    const driver = AmdDriver.started().interrupt().skip(1).wait().interrupt({ high: 0x31n });
    expect(driver.hazards()).toEqual([missing]);
  });

  test("does not judge what is missing in a trace whose invalidations were not recorded", () => {
    const driver = AmdDriver.started();
    for (let i = 0; i < 40; i++) driver.silent().wait();
    const { hazards, notChecked } = driver.check();
    expect(hazards).toEqual([]);
    expect(notChecked).toContainEqual(expect.objectContaining({ rule: missing, count: 40 }));
  });

  test("finds a new entry used before its invalidation was waited for, when the driver then goes on", () => {
    const driver = AmdDriver.started().interrupt().invalidateTable().interrupt({ high: 0x31n });
    expect(driver.invalidateTable().wait().check().hazards).toMatchObject([
      { rule: notWaited, since: 17, at: 18 },
    ]);
  });

  test("forgives an interrupt that comes between an invalidation and the wait that follows it", () => {
    const driver = AmdDriver.started().interrupt().invalidateTable().interrupt({ high: 0x31n }).wait();
    expect(driver.hazards()).toEqual([]);
  });

  test("does not take what QEMU looks up for routes of KVM's for interrupts", () => {
    const notify = "x86_iommu_iec_notify Notify IEC invalidation: global=1 index=0 mask=0";
    const driver = used().invalidateTable().line(notify).interrupt({ high: 0x31n });
    expect(driver.invalidateTable().wait().hazards()).toEqual([]);
  });

  test("forgives interrupts in the middle of a sweep, and a known entry at any time", () => {
    const driver = AmdDriver.started().interrupt();
    for (let i = 0; i < 10; i++) driver.invalidateTable();
    driver.interrupt({ index: 1 });
    for (let i = 0; i < 10; i++) driver.invalidateTable();
    driver.wait().invalidateTable().interrupt({ index: 1 }).invalidateTable().wait();
    expect(driver.hazards()).toEqual([]);
  });

  test("finds invalidations that are never waited for, unless the trace ends with them", () => {
    const driver = AmdDriver.started().interrupt().invalidateTable();
    expect(driver.hazards()).toEqual([]);
    expect(driver.interrupt().hazards()).toEqual([notWaited]);
  });

  test("finds a buffer with its base at 0, an opcode that there is not, and a command that cannot be read", () => {
    const driver = AmdDriver.started();
    driver.lines.forEach((line, i) => (driver.lines[i] = line.replace("base at 0x49c6000", "base at 0x0")));
    expect(driver.hazards()).toEqual(["amdvi.check.command-buffer-unset"]);
    expect(
      AmdDriver.started().silent().line("amdvi_unhandled_command unhandled command 14").wait().hazards(),
    ).toEqual(["amdvi.command.illegal"]);
    const unreadable = "amdvi_command_read_fail error: fail to access memory at 0x49c6000 + 0x10";
    expect(AmdDriver.started().silent().line(unreadable).wait().hazards()).toEqual([
      "amdvi.command.read-error",
    ]);
  });
});

describe("the check of an AMD-Vi trace: the control register", () => {
  test("finds interrupts remapped with nothing invalidated since IommuEn was set", () => {
    const started = new AmdDriver().control(0n).control(allOn).invalidateDevice(0x18).wait();
    const driver = interrupts(started, 16);
    expect(driver.check().hazards).toMatchObject([
      { rule: "amdvi.check.enabled-without-invalidation", since: 2, at: 7 },
    ]);
    expect(driver.hazards("amdvi-qemu-7.2")).toEqual([]);
    // A trace that starts later does not show it.
    const later = interrupts(new AmdDriver().control(allOn), 16);
    expect(later.hazards()).toEqual([]);
  });

  test("forgives a few interrupts until the invalidation comes, and while a unit is taken down", () => {
    const driver = interrupts(new AmdDriver().control(0n).control(allOn), 15).invalidateTable().wait();
    interrupts(driver, 30).control(on.iommu | on.ga);
    expect(interrupts(driver, 15).control(on.ga).hazards()).toEqual([]);
  });

  test("finds interrupts remapped while the unit or its command buffer is off", () => {
    const unit = new AmdDriver().control(0n).control(on.commands | on.ga);
    expect(unit.interrupt().hazards()).toEqual(["amdvi.ir.disabled"]);
    const buffer = new AmdDriver().control(0n).control(on.iommu | on.ga);
    expect(interrupts(buffer, 20).interrupt({ high: 0x31n }).hazards()).toEqual([
      "amdvi.check.command-buffer-off",
    ]);
  });

  test("finds interrupts that pass unmapped once the unit is on and remaps others, and only then", () => {
    expect(used().passed().hazards()).toEqual(["amdvi.check.unmapped"]);
    expect(used().passed().passed().hazards()).toEqual(["amdvi.check.unmapped"]);
    expect(AmdDriver.started().passed(1).interrupt().check().hazards[0]!.found).toContain(
      "IntCtl of its device is 01b",
    );
    expect(AmdDriver.started().passed().hazards()).toEqual([]);
    expect(
      new AmdDriver().control(0n).passed().control(allOn).invalidateTable().wait().interrupt().hazards(),
    ).toEqual([]);
    expect(AmdDriver.started().aborted().hazards()).toEqual([]);
    const nmi = used().line(
      "amdvi_ir_remap_msi_req addr 0xfee01000 data 0x400 devid 0x18",
      "amdvi_ir_remap_msi (addr 0xfee01000, data 0x400) -> (addr 0xfee01000, data 0x400)",
    );
    expect(nmi.hazards()).toEqual([]);
  });

  test.each([
    ["amdvi.check.mode-changed", [0n, allOn, on.iommu | on.commands]],
    ["amdvi.check.mode-changed", [0n, allOn, allOn | on.xt]],
    ["amdvi.check.mode-changed", [0n, allOn, allOn | (1n << 43n)]],
    ["amdvi.check.mode-without-ga", [0n, on.gam]],
    ["amdvi.check.mode-without-ga", [0n, on.xt, on.xt]],
  ])("finds %s in what is written, %#", (rule, values) => {
    const driver = new AmdDriver();
    for (const value of values) driver.control(value);
    expect(driver.hazards()).toEqual([rule]);
  });

  test("lets every mode go with IommuEn", () => {
    expect(
      new AmdDriver()
        .control(0n)
        .control(allOn | on.xt)
        .control(0n)
        .hazards(),
    ).toEqual([]);
  });

  test("finds a bit that the hardware does not report, under that hardware's profile", () => {
    const driver = new AmdDriver()
      .control(0n)
      .control(on.ga | on.xt)
      .control(allOn | on.xt);
    expect(driver.hazards()).toEqual([]);
    const { hazards } = driver.check("amdvi-qemu-7.2");
    expect(hazards).toMatchObject([
      {
        rule: "amdvi.register.unsupported",
        found: expect.stringMatching(/^x2APIC Enable is set, .*nothing\.$/) as unknown,
      },
    ]);
  });

  test("holds bases against what is turned on by them, where the trace has register values", () => {
    const driver = (...lines: string[]): AmdDriver =>
      new AmdDriver()
        .line(write("AMDVI_MMIO_CONTROL", 0x18, 8, "0x0"))
        .control(0n)
        .line(...lines)
        .control(allOn);
    const table = write("AMDVI_MMIO_DEVTAB_BASE", 0, 8, "0x49001ff");
    const buffer = [
      write("AMDVI_MMIO_CMDBUF_BASE", 8, 4, "0x49c6000"),
      write("AMDVI_MMIO_CMDBUF_BASE", 12, 4, "0x9000000"),
    ] as const;
    expect(driver(table, ...buffer).hazards()).toEqual([]);
    expect(driver(...buffer).hazards()).toEqual(["amdvi.check.device-table-unset"]);
    expect(driver(table, buffer[1]).hazards()).toEqual(["amdvi.check.command-buffer-unset"]);
    expect(driver(table, buffer[0]).hazards()).toEqual(["amdvi.register.buffer-length"]);
  });
});

describe("the check of an AMD-Vi trace", () => {
  test("says what the trace does not show", () => {
    const driver = new AmdDriver().passed().control(0n).control(allOn).invalidateTable().wait().interrupt();
    const rules = driver.check().notChecked.map(({ rule, count }) => ({ rule, count }));
    expect(rules).toEqual([
      { rule: null, count: null },
      { rule: "amdvi.ir.index-out-of-range", count: 1 },
      { rule: changed, count: 1 },
      { rule: null, count: null },
      { rule: null, count: 1 },
    ]);
    expect(new AmdDriver().control(0n).check().notChecked).toContainEqual({
      rule: missing,
      why: "the trace has no amdvi_command_exec lines",
      count: null,
    });
  });

  test("counts lines that belong to no request, and goes on behind a damaged one", () => {
    const driver = AmdDriver.started().line("amdvi_ir_intctl int_ctl 0x2").interrupt();
    driver.line("amdvi_ir_remap_msi_req addr 0xfee00000 data 0x0 devid 0x18", "amdvi_ir_irte addr 0x1 off");
    const { hazards, skipped } = driver.interrupt({ high: 0x31n }).check();
    expect(hazards.map(({ rule }) => rule)).toEqual([changed]);
    expect(Object.keys(skipped)).toEqual(["amdvi_ir_intctl without a request", "malformed amdvi_ir_irte"]);
  });
});
