import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { run } from "../program.ts";
import { builtInScenarios } from "../sources/scenario-file.ts";
import { testIo } from "../testing/test-io.ts";

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function call(args: readonly string[], input?: string | Uint8Array): Promise<Ended> {
  const io = testIo(input, { NO_COLOR: "1" });
  const status = await run(["run", ...args], io);
  return { status, out: io.out(), err: io.err() };
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { out, err } = await call([...args, "--json"]);
  expect(err).toBe("");
  return JSON.parse(out) as Record<string, unknown>;
}

const folder = mkdtempSync(join(tmpdir(), "intremap-run-"));
afterAll(() => rmSync(folder, { recursive: true }));

const good = `title: A scenario
kernel: "7.0"
machine: { vendor: intel, cmdline: intel_iommu=on }
devices:
  nic: { at: "01:00.0", msix: 2 }
vms:
  guest: { vcpus: [1], devices: [nic] }
script:
  - start: guest
  - enable: { device: nic }
  - interrupt: { device: nic, times: 3 }
expect: { delivered: 6, lost: 0 }
`;

/** The same with something else in one place. */
function bad(from: string, to: string): string {
  expect(good.split(from)).toHaveLength(2);
  return good.replace(from, to);
}

describe("the list of scenarios", () => {
  test("has a line for each, with its options and variants", async () => {
    const { status, out, err } = await call([]);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    const [header, ...lines] = out.trimEnd().split("\n");
    expect(header).toMatch(/^scenario +kernel +options +variants +what it shows$/);
    expect(lines.map((line) => line.split(" ")[0])).toEqual(builtInScenarios());
    expect(out).toMatch(/^hostile-device +7\.0 +- +without-remapping +A hostile device/m);
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
    const { status, out, err } = await call(["--vectors", "3"]);
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
    const { status, out, err } = await call(["vfio-msix-enable", ...args]);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toContain(message);
    expect(err).toMatch(/^intremap: [^\n]+\n$/);
  });
});

describe("--compare", () => {
  test("shows the counts of both, and what the modelled work cost each", async () => {
    const { status, out, err } = await call(["passthrough-posted", "--interrupts", "100"]);
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
    const { out } = await call(["vfio-msix-enable", "--stacks=pci_irq_vector", "--vectors", "2"]);
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
    const { status, err } = await call(["vfio-msix-enable", "--stacks=no_such_function"]);
    expect({ status, err }).toEqual({ status: 0, err: 'intremap: no call of "no_such_function" was seen\n' });
  });
});

const protoc = spawnSync("protoc", ["--version"]).status === 0;
if (!protoc) console.warn("skipped: protoc is not here, which reads traces");

function file(name: string): string {
  return join(folder, name);
}

describe("--timeline", () => {
  test.skipIf(!protoc).each([
    ["passthrough-posted", ["nic", "APIC 1", "guest/0", "vector f2h"]],
    ["virtio-blk-msi", ["guest/0", "guest: CPU 0/KVM", "qemu-system-x86", "virtio_blk_rw_complete"]],
    ["amd-avic", ["nic", "APIC 1", "guest/0", "posted"]],
    ["vcpu-halts-and-wakes", ["APIC 1", "vector f1h", "pi_wakeup_handler"]],
  ])("of %s is a trace that protoc reads, with %j", async (scenario, seen) => {
    const path = file(`${scenario}.pftrace`);
    const { status, err } = await call([scenario, "--timeline", path]);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    const { status: read, stdout } = spawnSync("protoc", ["--decode_raw"], {
      input: readFileSync(path),
      maxBuffer: 1 << 28,
    });
    expect(read).toBe(0);
    for (const name of seen) expect(stdout.toString()).toContain(`"${name}"`);
  });

  test("is of the first of two runs, and does not change its result", async () => {
    const path = file("beside.pftrace");
    const { status, out } = await call(["vfio-msix-enable", "--timeline", path]);
    expect({ status, out }).toEqual({ status: 0, out: (await call(["vfio-msix-enable"])).out });
    const alone = readFileSync(path);
    await call(["vfio-msix-enable", "--timeline", path, "--compare", "hostile-device"]);
    expect(readFileSync(path).equals(alone)).toBe(true);
  });

  test("is not there after a run that failed, and one from before is as it was", async () => {
    const missing = bad("devices: [nic] }", "devices: [nic], disk: { image: none.img } }");
    for (const path of [file("new.pftrace"), file("old.pftrace")]) {
      const before = path.includes("old") ? "what was here before" : null;
      if (before !== null) writeFileSync(path, before);
      const { status, out, err } = await call(["-", "--timeline", path], missing);
      expect({ status, out }).toEqual({ status: 2, out: "" });
      expect(err).toMatch(/^intremap: none\.img: no such file\n$/);
      expect(existsSync(path) ? readFileSync(path, "utf8") : null).toBe(before);
    }
    expect(readdirSync(folder).filter((name) => name.includes("partial"))).toEqual([]);
  });

  test("that cannot be written ends in one line", async () => {
    mkdirSync(file("folder"));
    for (const [path, message] of [
      [file("folder"), "is a directory"],
      ["/nowhere/trace", "no such file"],
    ]) {
      const { status, out, err } = await call(["vfio-msix-enable", "--timeline", path!]);
      expect({ status, out }).toEqual({ status: 2, out: "" });
      expect(err).toBe(`intremap: --timeline ${path}: ${message}\n`);
    }
    expect(existsSync(`${file("folder")}.partial`)).toBe(false);
  });
});

describe("a scenario of one's own", () => {
  test("comes from standard input, or from a file", async () => {
    const fromInput = await call(["-"], good);
    expect(fromInput).toMatchObject({ status: 0, err: "" });
    expect(fromInput.out).toMatch(/^standard input: A scenario\nLinux 7\.0, vtd-strict/);
    const path = join(folder, "mine.yaml");
    writeFileSync(path, good);
    expect(await json(path)).toMatchObject({ scenario: "mine", delivered: 6, findings: [] });
  });

  test("has its images beside it", async () => {
    const path = join(folder, "disk.yaml");
    const script =
      "script:\n  - start: guest\n  - disk-read: { vm: guest, sector: 1 }\nexpect: { dataEqual: true }\n";
    const disk = good.slice(0, good.indexOf("script:")).replace("devices: [nic]", "disk: { image: own.img }");
    writeFileSync(path, disk + script);
    writeFileSync(join(folder, "own.img"), "x".repeat(1024));
    const { status, out } = await call([path]);
    expect(status).toBe(0);
    expect(out).toContain(`512 bytes, the image's: "${"x".repeat(72)}…"`);
  });

  test("ends with status 1 and the finding when an expectation is not met", async () => {
    const { status, out, err } = await call(["-"], bad("delivered: 6", "delivered: 7"));
    expect({ status, err }).toEqual({ status: 1, err: "" });
    expect(out).toMatch(/^finding standard input: delivered is 6, expected 7$/m);
  });

  test("ends with status 1 when what runs refuses an action, and says which", async () => {
    const { status, out } = await call(
      ["-"],
      bad("  - enable: { device: nic }", "  - stop: guest\n  - stop: guest"),
    );
    expect(status).toBe(1);
    expect(out).toMatch(/^finding standard input: stop: guest does not run$/m);
  });
});

describe("a bad scenario is refused with its place and what was expected:", () => {
  const cases: [string, string | Uint8Array, RegExp][] = [
    [
      "an unknown key",
      bad("vendor: intel", "vendor: intel, cpuz: 3"),
      /:3:27: machine\.cpuz: unknown key, expected vendor, profile, cpus/,
    ],
    [
      "0 CPUs",
      bad("vendor: intel", "cpus: 0, vendor: intel"),
      /:3:18: machine\.cpus: 0, expected a whole number from 1/,
    ],
    [
      "vector 300",
      bad("times: 3", "vector: 300"),
      /:11:39: script\[2\]\.interrupt\.vector: 300, expected one of 0 to 1$/,
    ],
    [
      "a VM without a device",
      bad("devices: [nic]", "devices: []"),
      /:7:3: vms\.guest: has no device, expected devices or/,
    ],
    [
      "a profile of the other vendor",
      bad("vendor: intel", "vendor: intel, profile: amdvi-strict"),
      /:3:36: machine\.profile: "amdvi-strict", expected vtd-strict, vtd-line-cache/,
    ],
    ["YAML that ends too early", bad("[1]", "[1"), /:7:\d+: Flow sequence/],
    ["tabs", bad("  nic:", "\tnic:"), /:5:1: Tabs are not allowed as indentation$/],
    ["two documents", `${good}---\n${good}`, /:13:1: a second document, expected one$/],
    ["the same key twice", `${good}title: again\n`, /:13:1: Map keys must be unique$/],
    ["a key that is a list", `${good}? [a, b]\n: 1\n`, /: unknown key, expected title/],
    ["the key __proto__", `${good}__proto__: { x: 1 }\n`, /:13:1: __proto__: unknown key/],
    [
      "an action that every object has",
      bad("  - start: guest", "  - toString"),
      /:9:5: script\[0\]\.toString: unknown action/,
    ],
    [
      "aliases that multiply",
      `a: &a [${"x,".repeat(9)}]\n${["ba", "cb", "dc", "ed", "fe"]
        .map(([to, from]) => `${to}: &${to} [${`*${from},`.repeat(9)}]\n`)
        .join("")}`,
      /:1:1: Excessive alias count/,
    ],
    [
      "an alias of what contains it",
      "title: &a [*a, *a]\n",
      /:1:1: nested more than 32 deep, expected a scenario$/,
    ],
    [
      "lists in lists in lists",
      `title: ${"[".repeat(40)}${"]".repeat(40)}\n`,
      /:1:1: nested more than 32 deep/,
    ],
    [
      "too many lists in lists",
      `title: ${"[".repeat(20_000)}`,
      /:1:\d+: nested too deep, expected a scenario$/,
    ],
    [
      "bytes that are no text",
      Uint8Array.from({ length: 999 }, (_, i) => (i * 37) & 0xff),
      /:\d+:\d+: .*expected an object$/,
    ],
    ["nothing", "", /:1:1: null, expected an object$/],
    ["a list", "- a\n", /:1:1: \["a"\], expected an object$/],
    ["more than can be meant", "#".repeat(2 << 20), /: more than 1 MiB, which is the most that is read$/],
  ];

  test.each(cases)("%s", async (_, text, message) => {
    const { status, out, err } = await call(["-"], text);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(/^intremap: standard input:[^\n]+\n$/);
    expect(err.trimEnd()).toMatch(message);
  });

  test("a directory, and what is not there", async () => {
    expect(await call([folder])).toEqual({
      status: 2,
      out: "",
      err: `intremap: ${folder}: is a directory\n`,
    });
    const { status, out, err } = await call(["/nowhere.yaml"]);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(
      /^intremap: there is no scenario and no file "\/nowhere\.yaml": expected a file or aff[^\n]+\n$/,
    );
  });

  test("an image that is not beside it", async () => {
    const text = bad("devices: [nic] }", "devices: [nic], disk: { image: ../up.img } }");
    const { status, err } = await call(["-"], text);
    expect(status).toBe(2);
    expect(err).toBe('intremap: image "../up.img": expected a file name, of a file beside the scenario\n');
  });
});
