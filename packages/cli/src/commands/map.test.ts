import { fileURLToPath } from "node:url";
import type { HostMap } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { run } from "../program.ts";
import { type CapturedHost, captureFiles, capturePath } from "../testing/captured-host.ts";
import { testIo } from "../testing/test-io.ts";

const core = fileURLToPath(new URL("../../../../captures/intel61-hold.core.xz", import.meta.url));

async function called(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const io = testIo(undefined, { NO_COLOR: "1" });
  const status = await run(["map", ...args], io);
  return { status, out: io.out(), err: io.err() };
}

async function mapped(from: string): Promise<HostMap> {
  const { status, out, err } = await called("--json", "--from", from);
  expect({ status, err }).toEqual({ status: 0, err: "" });
  return JSON.parse(out) as HostMap;
}

/** What the bytes of a table of 16-byte entries say; every capture is in xAPIC mode with flat destinations. */
function decoded(bytes: Uint8Array, vendor: "intel" | "amd"): object[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows: object[] = [];
  for (let index = 0; index * 16 < bytes.length; index++) {
    const word = (n: number): number => view.getUint32(index * 16 + 4 * n, true);
    if ((word(0) & 1) === 0) continue;
    const [vector, destination] =
      vendor === "intel"
        ? [(word(0) >>> 16) & 0xff, (word(1) >>> 8) & 0xff]
        : [word(2) & 0xff, (word(0) >>> 8) & 0xff];
    const processors = [0, 1, 2, 3].filter((cpu) => ((destination >>> cpu) & 1) === 1);
    rows.push({ index, mode: "remapped", vector, destination, logical: true, processors });
  }
  return rows;
}

function entriesOf({ interrupts }: HostMap): object[] {
  return interrupts
    .filter(({ index }) => index !== null)
    .map(({ index, mode, vector, destination, logical, processors }) => ({
      index,
      mode,
      vector,
      destination,
      logical,
      processors,
    }));
}

async function bytesOf(host: CapturedHost, file: string): Promise<Uint8Array> {
  return (await captureFiles(host)).read(file)!;
}

describe("entries of a map are what the table's bytes say", () => {
  test.each([
    ["intel61-hold", "pmemsave-irt.bin"],
    ["intel61-5G-strict-node", "irt-node.bin"],
  ] as const)("of %s", async (host, file) => {
    const map = await mapped(capturePath(host));
    const expected = decoded(await bytesOf(host, file), "intel");
    expect(expected.length).toBeGreaterThanOrEqual(27);
    expect(entriesOf(map)).toEqual(expected);
    expect(map.totals.entries).toBe(expected.length);
  });

  test("of AMD's tables, one for each requester", async () => {
    const map = await mapped(capturePath("amd61-q72"));
    for (const id of [0x18, 0x20, 0x28, 0x30, 0x38, 0xa0, 0x100, 0x200, 0x300]) {
      const digits = id.toString(16).padStart(4, "0");
      const slot = ((id >> 3) & 31).toString(16).padStart(2, "0");
      const requester = `0000:${digits.slice(0, 2)}:${slot}.${id & 7}`;
      const own = map.interrupts.filter((row) => row.index !== null && row.requester === requester);
      const expected = decoded(await bytesOf("amd61-q72", `amd-irt-${digits}.bin`), "amd");
      expect(entriesOf({ ...map, interrupts: own })).toEqual(expected);
    }
    expect(map.totals.entries).toBe(27);
  });

  test("of the memory dump of intel61-hold: the same table, each entry with its interrupt", async () => {
    const map = await mapped(core);
    expect(entriesOf(map)).toEqual(decoded(await bytesOf("intel61-hold", "pmemsave-irt.bin"), "intel"));
    expect(map.totals).toMatchObject({
      entries: 27,
      remapped: 27,
      posted: 0,
      withoutIrq: 0,
      entryUnknown: 0,
    });
    const text = new TextDecoder().decode(await bytesOf("intel61-hold", "interrupts"));
    const listed = text
      .split("\n")
      .map((line) => /^ *(\d+):(?: +\d+){4} +(?:IR-(?:IO-APIC|PCI-MSI)) +\d+-\w+ +(.*)$/.exec(line))
      .filter((row) => row !== null)
      .map(([, irq, name]) => `${irq} ${name}`);
    expect(listed).toHaveLength(27);
    const shown = map.interrupts
      .filter(({ index }) => index !== null)
      .map(({ irq, name }) => `${irq} ${name}`);
    expect(shown.toSorted()).toEqual(listed.toSorted());
  });
});

test("the processors of an entry are those whose local APICs have its destination, as the monitor printed them", async () => {
  const printed = new TextDecoder().decode(await bytesOf("intel61-hold", "hmp.txt"));
  const logicalIds = [...printed.matchAll(/state for CPU (\d+) [^#]*? DFR 0x0f LDR 0x([0-9a-f]{2}) /g)].map(
    ([, cpu, id]) => ({ cpu: Number(cpu), id: Number.parseInt(id!, 16) }),
  );
  expect(logicalIds).toHaveLength(4);
  const entries = (await mapped(capturePath("intel61-hold"))).interrupts.filter(
    ({ index }) => index !== null,
  );
  for (const { logical, destination, processors } of entries) {
    expect(logical).toBe(true);
    expect(processors).toEqual(
      logicalIds.filter(({ id }) => (destination! & id) !== 0).map(({ cpu }) => cpu),
    );
  }
});

test("every interrupt of /proc/interrupts has its row, with its counts", async () => {
  const map = await mapped(capturePath("intel61-hold"));
  const text = new TextDecoder().decode(await bytesOf("intel61-hold", "interrupts"));
  const rows = [...text.matchAll(/^ *(\d+):((?: +\d+){4}) +(\S+)/gm)];
  expect(rows).toHaveLength(28);
  for (const [, irq, counts, chip] of rows) {
    const total = counts!
      .trim()
      .split(/ +/)
      .reduce((sum, count) => sum + Number(count), 0);
    const row = map.interrupts.find((one) => one.irq === Number(irq));
    expect(row).toMatchObject({ chip, total });
  }
});

describe("the table", () => {
  test("fits 120 columns and ends with totals and what is missing", async () => {
    const { status, out } = await called("--from", capturePath("intel61-hold"));
    expect(status).toBe(0);
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
    expect(out).toMatch(/^entries {2}27 present: 27 remapped, 0 posted$/m);
    expect(out).toContain("not known\n");
  });

  test("has the columns that are asked for, sorted and filtered", async () => {
    const { out } = await called("--from", core, "-o", "irq,vector,to", "--sort=-irq", "--device", "00:03.0");
    expect(out.split("\n").slice(0, 6)).toEqual([
      "irq  vector  to",
      "31   0x23    cpu 3",
      "30   0x23    cpu 2",
      "29   0x23    cpu 1",
      "28   0x23    cpu 0",
      "27   0x24    cpu 1",
    ]);
  });

  test.each([
    [["-o", "irq,colour"], /unknown column "colour", expected device \(.*origin \(/],
    [["--sort", "colour"], /unknown column/],
    [["--irq", "x"], /--irq x: expected a number/],
    [["--device", "eth0"], /--device eth0: expected bb:dd\.f/],
    [["--unit", "dmar9"], /--unit dmar9: no interrupt goes through it, expected dmar0/],
  ])("refuses %j in one line", async (args, message) => {
    const { status, out, err } = await called("--from", core, ...args);
    expect(err).toMatch(message);
    expect({ status, out, lines: err.trimEnd().split("\n").length }).toEqual({
      status: 2,
      out: "",
      lines: 1,
    });
  });
});
