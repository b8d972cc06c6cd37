import { describe, expect, test } from "vitest";
import { testIo } from "../testing/test-io.ts";
import { ScenarioFile, builtInScenarios, openScenario } from "./scenario-file.ts";

const text = `# a comment
title: A scenario
kernel: "7.0"
parameters:
  vectors: { default: 4, from: 1, to: 64, about: vectors }
machine:
  vendor: intel
devices:
  nic:
    at: "01:00.0"
    msix: $vectors
vms:
  guest:
    vcpus: [1]
    devices:
      - nic
script:
  - start: guest
  - enable:
      device: nic
      vectors: $vectors
variants:
  small:
    machine:
      cpus: 2
`;

function change(from: string, to: string): ScenarioFile {
  expect(text.split(from)).toHaveLength(2);
  return new ScenarioFile("/some/where/mine.yaml", text.replace(from, to));
}

describe("a scenario's file", () => {
  const file = new ScenarioFile("/some/where/mine.yaml", text);

  test("gives the scenario its name, and a folder for its images", () => {
    expect({ name: file.name, folder: file.folder }).toEqual({ name: "mine", folder: "/some/where" });
    expect(file.read({}).name).toBe("mine");
  });

  test("tells its parameters before it is read", () => {
    expect(file.parameters).toEqual([{ name: "vectors", default: 4, from: 1, to: 64, about: "vectors" }]);
    expect(file.read({ values: { vectors: 9 } }).devices[0]!.msix).toBe(9);
    expect(file.read({ variant: "small" }).machine.cpus).toBe(2);
  });

  test.each<[string, string, string]>([
    ["vendor: intel", "vendor: intle", "7:11: machine.vendor: "],
    ['at: "01:00.0"', "at: here", "10:9: devices.nic.at: "],
    ["  nic:\n", "  NIC:\n", '9:3: devices, key "NIC": '],
    ["msix: $vectors", "msix: $vector", "11:11: devices.nic.msix: there is no parameter $vector"],
    ["[1]", "[4]", "14:13: vms.guest.vcpus[0]: CPU 4, "],
    ["[1]", "[1, 2, 1]", "14:19: vms.guest.vcpus[2]: CPU 1 is vCPU 0's, expected a CPU for each vCPU"],
    ["[1]", "5", "14:12: vms.guest.vcpus: CPU 1 is vCPU 0's"],
    ["      - nic", "      - nick", '16:9: vms.guest.devices[0]: there is no device "nick"'],
    ["      device: nic", "      divice: nic", "20:7: script[1].enable.divice: unknown key"],
    [
      "      vectors: $vectors",
      "      vectors: 65",
      "21:16: script[1].enable.vectors: 65, expected at most the 4",
    ],
    ["cpus: 2", "cpus: 256", "25:13: variants.small.machine.cpus: 256, "],
  ])("with %j as %j names line, column and place", (from, to, message) => {
    expect(() => change(from, to).read({ variant: "small" })).toThrow(
      expect.objectContaining({
        name: "InputError",
        message: expect.stringContaining(`/some/where/mine.yaml:${message}`) as string,
      }),
    );
  });

  test("is refused while it is parsed, where YAML ends", () => {
    expect(() => change("[1]", "[1")).toThrow(/^\/some\/where\/mine\.yaml:\d+:\d+: \S/);
  });
});

test("a name is looked for among the scenarios that come with the command, then among files", async () => {
  const { stdin } = testIo();
  for (const name of builtInScenarios()) expect((await openScenario(name, stdin)).name).toBe(name);
  await expect(openScenario("no-such", stdin)).rejects.toThrow(
    `there is no scenario and no file "no-such": expected a file or ${builtInScenarios().join(", ")}`,
  );
});

test("text with a byte order mark, and in UTF-16, is read like any other", async () => {
  const bytes = new Uint8Array(2 + 2 * text.length);
  bytes.set([0xff, 0xfe]);
  for (let i = 0; i < text.length; i++) bytes[2 + 2 * i] = text.codePointAt(i)!;
  for (const input of [`\ufeff${text}`, bytes, text.replaceAll("\n", "\r\n")]) {
    const file = await openScenario("-", testIo(input).stdin);
    expect(file.read({})).toMatchObject({ name: "standard input", title: "A scenario" });
  }
});
