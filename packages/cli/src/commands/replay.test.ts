import { describe, expect, test } from "vitest";
import { bootPath } from "../testing/captured-boot.ts";
import { testIo } from "../testing/test-io.ts";
import { type ReplayFlags, replay } from "./replay.ts";

interface Run {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function run(trace: string, flags: ReplayFlags = {}, input = "", isTTY = false): Promise<Run> {
  const world = testIo(input, { NO_COLOR: "1" });
  const status = await replay(trace, flags, { ...world, stderr: { ...world.stderr, isTTY } });
  return { status, out: world.out(), err: world.err() };
}

const passed = [
  "vtd_ir_remap_msi_req addr 0xfee01004 data 0x4031",
  "vtd_ir_remap_msi (addr 0xfee01004, data 0x4031) -> (addr 0xfee01004, data 0x4031)",
  "apic_deliver_irq dest 1 dest_mode 1 delivery_mode 0 vector 49 trigger_mode 0",
  "",
].join("\n");

describe("the command replay", () => {
  test("prints the counts, a table of requesters and what was not checked", async () => {
    const { status, out, err } = await run(bootPath("intel"));
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toBe(
      [
        "VT-d, 92,966 lines, profile vtd-qemu-11.1",
        "1,642 interrupt requests: 1,642 agree, 0 disagree",
        "",
        "requester  entries  requests  agree  vectors  destinations",
        "unknown    0        1         1      0        0",
        "ff:00.0    5        1,535     1,535  34,48    1,2,4,8",
        "00:03.0    4        55        55     35       1,2,4,8",
        "01:00.0    2        31        31     37,38    2,8",
        "00:04.0    2        7         7      36       1,8",
        "00:05.0    3        13        13     38       1,4,8",
        "",
        "not checked 1,641 × source-id verification: the trace does not give the requester",
        "ignored 82,710 lines of 20 events that replay has no use for",
        "",
      ].join("\n"),
    );
  });

  test("follows one interrupt step by step, with sections", async () => {
    const { out } = await run(bootPath("intel"), { follow: true });
    const path = out.slice(out.indexOf("request 122"));
    expect(path).toMatch(/^request 122, lines 69218 to 69223\n {2}requester {5}00:03\.0, as its entry says/);
    expect(path).toContain("entry         0000000000040018000002000023000d at 0x1200160");
    expect(path).toMatch(
      /\n {3}1 {2}remapping is on +held +VT-d 5\.10 §5\.1\.4 +GSTS\.IRES=1, ECAP\.IRREQ=0\n/,
    );
    expect(path).toMatch(
      /\n {3}8 {2}source-id verification +not checked +VT-d 5\.10 §[\d.]+ +requester unknown; SVT=1 SQ=0 SID=00:03\.0\n/,
    );
    expect(path).toMatch(/\n {2}10 {2}the interrupt is delivered +delivered /);
    expect(path).toContain("message       addr 0xfee0200c, data 0x4023");
    expect(path).toContain("local APIC    vector 35 (0x23), logical destination 0x2, fixed, edge");
    expect(path).toMatch(/in the trace {2}the same\n$/);
  });

  test("follows the request of a number or a line, and refuses anything else", async () => {
    const amd = await run(bootPath("amd"), { follow: "line:11520", profile: "amdvi-strict" });
    expect(amd.out).toContain(
      "request 169, lines 11518 to 11524\n  requester     xx:03.0: the trace gives 8 bits of the DeviceID",
    );
    expect(amd.out).toContain("requester  table      entries");
    const first = await run("-", { follow: "1" }, passed);
    expect(first.out).toContain(
      "   1  remapping is on                                passed here     VT-d 5.10 §5.1.4",
    );
    for (const follow of ["0", "x", "line:", "1.5", "-1", "9".repeat(20)]) {
      await expect(run("-", { follow }, passed)).rejects.toThrow(
        `--follow "${follow}": expected the number of a request, or line:N`,
      );
    }
  });

  test("prints one JSON document", async () => {
    const { status, out } = await run("-", { json: true, follow: true }, passed);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      schema: "intremap/replay/1",
      vendor: "intel",
      profile: "vtd-qemu-11.1",
      requests: 1,
      agreed: 1,
      disagreed: [],
      notChecked: {},
      followed: { request: { address: 0xfee01004 }, message: { address: 0xfee01004, data: 0x4031 } },
    });
    const boot = await run(bootPath("intel"), { json: true, follow: true });
    expect(JSON.parse(boot.out)).toMatchObject({
      followed: { entry: { value: "0x40018000002000023000d", address: 0x1200160 } },
    });
  });

  test("ends with status 1 and the lines when outcomes differ", async () => {
    const wrong = passed.replace("0x4031)\n", "0x4032)\n");
    const { status, out } = await run("-", {}, wrong);
    expect(status).toBe(1);
    expect(out).toContain("1 interrupt requests: 0 agree, 1 disagree");
    expect(out).toContain(
      "line 2: the trace says addr 0xfee01004, data 0x4032\n  the model says addr 0xfee01004, data 0x4031\n  by vtd.ir.pass-through\n",
    );
    const json = await run("-", { json: true }, wrong);
    expect(json.status).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ disagreed: [{ line: 2, rule: "vtd.ir.pass-through" }] });
    expect((await run("-", {}, wrong.repeat(30))).out).toContain("and 10 more\n");
  });

  test("shows what was skipped with its first line, and what was not compared", async () => {
    const lines = "vtd_ir_irte_get index 0x\nvtd_ir_remap_msi_req addr 0xfee00318 data 0x0\n";
    const outcome = "vtd_ir_remap_msi (addr 0xfee00318, data 0x0) -> (addr 0xfee01004, data 0x4031)\n";
    const { status, out } = await run("-", {}, lines + outcome + passed);
    expect(status).toBe(0);
    expect(out).toContain("2 interrupt requests: 1 agree, 0 disagree, 1 not compared");
    expect(out).toContain("skipped 1 line, the first is line 1: malformed vtd_ir_irte_get");
    expect(out).toContain("not checked 1 × the outcome: the trace does not show the entry");
  });

  test("names its input in every error", async () => {
    await expect(run("-", {}, "nothing\n")).rejects.toThrow(
      "standard input: no interrupt requests in 1 lines",
    );
    await expect(run("-", {}, "\0\n")).rejects.toThrow("standard input: line 1 holds zero bytes");
    await expect(run("/nowhere/trace.log")).rejects.toThrow("/nowhere/trace.log: no such file");
    await expect(run("-", { profile: "vtd-none" }, passed)).rejects.toThrow(
      'profile "vtd-none": expected one of',
    );
  });
});
