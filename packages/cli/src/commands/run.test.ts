import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { builtInScenarios } from "../sources/scenario-file.ts";
import { callRun, changed, goodScenario } from "../testing/run-call.ts";

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { out, err } = await callRun([...args, "--json"]);
  expect(err).toBe("");
  return JSON.parse(out) as Record<string, unknown>;
}

const folder = mkdtempSync(join(tmpdir(), "intremap-run-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("the list of scenarios", () => {
  test("has a line for each, with its options and variants", async () => {
    const { status, out, err } = await callRun([]);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    const [header, ...lines] = out.trimEnd().split("\n");
    expect(header).toMatch(/^scenario +kernel +options +variants +what it shows$/);
    expect(lines.map((line) => line.split(" ")[0])).toEqual(builtInScenarios());
    expect(out).toMatch(/^hostile-device +7\.0 +- +without-remapping on-amd +A hostile device/m);
    expect(out).toMatch(/^vfio-msix-enable +6\.12 +--vectors +- +A program/m);
  });

  test("is one JSON document on demand", async () => {
    const { schema, scenarios } = await json();
    expect(schema).toBe("intremap/run/1");
    expect(scenarios).toContainEqual({
      name: "vfio-msix-enable",
      title: "A program enables a device's vectors through VFIO",
      kernel: "6.12",
      parameters: [{ name: "vectors", default: 7, from: 1, to: 2048, about: "MSI-X vectors" }],
      variants: [],
    });
  });

  test("is not what options without a scenario mean", async () => {
    const { status, out, err } = await callRun(["--vectors", "3"]);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(
      /^intremap: "--vectors 3" without a scenario: expected a name or a file, of affinity/,
    );
  });
});

describe("the JSON document", () => {
  test("has every key that others rely on, and the run beside it", async () => {
    const document = await json("x2apic-optout");
    expect(Object.keys(document)).toEqual(
      expect.arrayContaining([
        "schema",
        "scenario",
        "title",
        "kernel",
        "profile",
        "settings",
        "raised",
        "delivered",
        "coalesced",
        "blocked",
        "lost",
        "hijacked",
        "vmExits",
        "vmExitsByReason",
        "notifications",
        "hostInterrupts",
        "wakeups",
        "faults",
        "remapped",
        "posted",
        "remapping",
        "posting",
        "x2apic",
        "dataEqual",
        "cycles",
        "costs",
        "stacks",
        "episodes",
        "log",
        "unmet",
        "leaks",
        "findings",
        "compared",
      ]),
    );
    expect(document).toMatchObject({
      schema: "intremap/run/1",
      scenario: "x2apic-optout",
      delivered: 1,
      lost: 0,
      findings: [],
      compared: { scenario: "x2apic-optout: overridden", x2apic: true },
    });
  });

  test("has faults with their rule and section, and null where nothing was compared", async () => {
    expect(await json("hpet-after-resume", "--compare", "hpet-after-resume")).toMatchObject({
      faults: [{ fault: "25h", rule: "vtd.ir.compatibility-blocked", section: expect.any(String), count: 2 }],
    });
    expect(await json("vcpu-migrates")).toMatchObject({
      compared: null,
      vmExitsByReason: expect.any(Object),
    });
  });
});

describe("parameters", () => {
  test.each([
    [["vfio-msix-enable", "--vectors", "66"]],
    [["vfio-msix-enable", "--vectors=66"]],
    [["--vectors", "66", "vfio-msix-enable"]],
    [["vfio-msix-enable", "--stacks", "--vectors", "66"]],
    [["--stacks", "vfio-msix-enable", "--vectors=66"]],
  ])("%j has 66 vectors", async (args) => {
    expect(await json(...args)).toMatchObject({ delivered: 66, remapped: 66 });
  });

  test("multiply what is expected", async () => {
    const args = [
      "passthrough-posted",
      "--vectors",
      "3",
      "--interrupts=7",
      "--compare",
      "passthrough-remapped",
    ];
    expect(await json(...args)).toMatchObject({
      delivered: 21,
      posted: 3,
      findings: [],
      compared: { delivered: 21, remapped: 3, findings: [] },
    });
  });

  test.each<[string[], string]>([
    [["--packets", "3"], 'vfio-msix-enable has no option "--packets": expected --vectors, --stacks'],
    [["--vectors", "2049"], "--vectors 2049: expected a whole number from 1 to 2048"],
    [["--vectors", "0"], "--vectors 0: expected a whole number from 1 to 2048"],
    [["--vectors", "-3"], '--vectors "-3": expected a whole number'],
    [["--vectors", "3.5"], '--vectors "3.5": expected a whole number'],
    [["--vectors=3=4"], '--vectors "3=4": expected a whole number'],
    [["--vectors"], '--vectors "": expected a whole number'],
    [["--vectors="], '--vectors "": expected a whole number'],
    [["--vectors", "9".repeat(400)], "expected a whole number from 1 to 2048"],
    [["more"], 'vfio-msix-enable has no option "more"'],
    [["--compare", "nothing"], 'there is no scenario and no file "nothing"'],
    [["--compare"], "option '--compare <other>' argument missing"],
    [["--timeline"], "option '--timeline <file>' argument missing"],
  ])("%j is one line on stderr, and status 2", async (args, message) => {
    const { status, out, err } = await callRun(["vfio-msix-enable", ...args]);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toContain(message);
    expect(err).toMatch(/^intremap: [^\n]+\n$/);
  });
});

describe("--compare", () => {
  test("shows the counts of both, and what the modelled work cost each", async () => {
    const { status, out, err } = await callRun(["passthrough-posted", "--interrupts", "100"]);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toMatch(/^ +passthrough-posted +passthrough-remapped$/m);
    expect(out).toMatch(/^notifications +400 +\d+$/m);
    expect(out).toMatch(/^host interrupts +0 +400$/m);
    expect(out).toMatch(/^modelled cycles +whose +passthrough-posted +passthrough-remapped$/m);
    expect(out).toMatch(/^VM exit and entry +host +\S+ × 2,000 .* \[\d+\]$/m);
    expect(out).toMatch(/^\[\d+\] measured 2,000 on a Xeon/m);
  });

  test("takes a variant of the scenario, or another one with the parameters that both have", async () => {
    expect(await json("hostile-device", "--compare", "without-remapping")).toMatchObject({
      compared: { scenario: "hostile-device: without-remapping", remapping: false },
    });
    expect(await json("vfio-msix-enable", "--vectors", "3", "--compare", "amd-remapped")).toMatchObject({
      compared: { scenario: "amd-remapped", remapped: 3 },
    });
  });
});

describe("--stacks", () => {
  test("prints a histogram as bpftrace does", async () => {
    const { out } = await callRun(["vfio-msix-enable", "--stacks=pci_irq_vector", "--vectors", "2"]);
    expect(out).toMatch(/^@\[\n {4}pci_irq_vector\n(?: {4}\w+\n)+\]: \d+\n/m);
  });

  test("without a symbol counts the innermost functions of the paths that are shown", async () => {
    const innermost = async (...args: string[]): Promise<string[]> => {
      const { stacks } = (await json(...args, "--stacks")) as { stacks: { frames: string[] }[] };
      return [...new Set(stacks.map(({ frames }) => frames[0]!))].sort();
    };
    expect(await innermost("virtio-blk-msi")).toEqual(["kvm_irqchip_send_msi"]);
    expect(await innermost("amd-remapped")).toEqual(["modify_irte_ga"]);
    expect(await innermost("passthrough-posted")).toEqual([
      "intel_ir_compose_msi_msg",
      "intel_ir_set_vcpu_affinity",
    ]);
    expect((await json("virtio-blk-msi"))["stacks"]).toEqual([]);
  });

  test("says so of a function that nobody called", async () => {
    const { status, err } = await callRun(["vfio-msix-enable", "--stacks=no_such_function"]);
    expect({ status, err }).toEqual({ status: 0, err: 'intremap: no call of "no_such_function" was seen\n' });
  });
});

describe("a scenario of one's own", () => {
  test("comes from standard input, or from a file", async () => {
    const fromInput = await callRun(["-"], goodScenario);
    expect(fromInput).toMatchObject({ status: 0, err: "" });
    expect(fromInput.out).toMatch(/^standard input: A scenario\nLinux 7\.0, vtd-strict/);
    const path = join(folder, "mine.yaml");
    writeFileSync(path, goodScenario);
    expect(await json(path)).toMatchObject({ scenario: "mine", delivered: 6, findings: [] });
  });

  test("has its images beside it", async () => {
    const path = join(folder, "disk.yaml");
    const script =
      "script:\n  - start: guest\n  - disk-read: { vm: guest, sector: 1 }\nexpect: { dataEqual: true }\n";
    const disk = goodScenario
      .slice(0, goodScenario.indexOf("script:"))
      .replace("devices: [nic]", "disk: { image: own.img }");
    writeFileSync(path, disk + script);
    writeFileSync(join(folder, "own.img"), "x".repeat(1024));
    const { status, out } = await callRun([path]);
    expect(status).toBe(0);
    expect(out).toContain(`512 bytes, the image's: "${"x".repeat(72)}…"`);
  });

  test("ends with status 1 and the finding when an expectation is not met", async () => {
    const { status, out, err } = await callRun(["-"], changed("delivered: 6", "delivered: 7"));
    expect({ status, err }).toEqual({ status: 1, err: "" });
    expect(out).toMatch(/^finding standard input: delivered is 6, expected 7$/m);
  });

  test("ends with status 1 when what runs refuses an action, and says which", async () => {
    const { status, out } = await callRun(
      ["-"],
      changed("  - enable: { device: nic }", "  - stop: guest\n  - stop: guest"),
    );
    expect(status).toBe(1);
    expect(out).toMatch(/^finding standard input: stop: guest does not run$/m);
  });
});
