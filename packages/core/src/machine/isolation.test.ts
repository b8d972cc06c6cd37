import { describe, expect, test } from "vitest";
import { amdRemapping } from "../linux/amd-ir/remapping.ts";
import { intelRemapping } from "../linux/intel-ir/remapping-state.ts";
import { encode } from "../spec/codec.ts";
import { irteRemapped } from "../spec/vtd/irte.ts";
import { registers } from "../spec/vtd/registers.ts";
import { Search } from "./isolation/search.ts";
import type { Machine } from "./machine.ts";
import { booted } from "./testbed.ts";

const hostile = 0x0300;

type Act = (...actions: readonly unknown[]) => Promise<unknown>;

/** Numbers that look random: 0 to below a limit. */
function dice(seed: number): (limit: number) => number {
  let state = (seed * 0x9e37_79b9 + 1) >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % limit;
  };
}

interface Layout {
  readonly devices: object;
  readonly vms: object;
  readonly setUp: readonly unknown[];
  /** What the kernel does between two stretches of a search: interrupts and vCPUs move, come and go. */
  readonly changes: readonly (readonly unknown[])[];
}

/**
 * Devices of the host and of guests, with MSI and MSI-X, one behind a bridge, and one that is hostile; how many vectors
 * each has and where they go is a matter of chance.
 * @param confined DMA remapping keeps the hostile device from memory that is not its own.
 * @param multiMsi a function may have several vectors of MSI.
 */
function layoutOf(seed: number, { confined = true, multiMsi = true } = {}): Layout {
  const roll = dice(seed);
  const [nic, gpu, bad] = [1 + roll(16), 1 + roll(8), 1 + roll(4)];
  const disk = multiMsi ? 2 ** roll(4) : 1;
  const [one, two, three, four] = [0, 1, 2, 3, 4].toSorted(() => roll(3) - 1);
  const move = (device: string, vectors: number): object => ({
    affinity: { device, vector: roll(vectors), cpus: [roll(5)] },
  });
  return {
    devices: {
      nic: { at: "01:00.0", msix: nic },
      gpu: { at: "01:00.1", msix: gpu },
      disk: { at: "02:00.0", msi: 8 },
      sound: { at: "05:01.0", msi: 1, alias: "04:00.0" },
      hostile: { at: "03:00.0", msix: 4, confined },
    },
    vms: {
      guest: { vcpus: [one, two], devices: ["nic"] },
      other: { vcpus: [three], devices: ["gpu"] },
    },
    setUp: [
      { start: "guest" },
      { start: "other" },
      { enable: { device: "nic", cpus: [roll(2), roll(2)] } },
      // A guest's interrupts, which are not remapped, have moved when the next one has come.
      { interrupt: { device: "nic" } },
      { enable: { device: "gpu", vectors: 1 + roll(gpu) } },
      { enable: { device: "disk", vectors: disk } },
      { enable: { device: "sound" } },
      { enable: { device: "hostile", vectors: bad } },
    ],
    changes: [
      [move("hostile", bad), move("sound", 1)],
      [{ halt: "guest/0" }, { affinity: { device: "nic", vector: roll(nic), cpus: [1] } }],
      [{ migrate: { vcpu: "other/0", to: four } }],
      [{ disable: "disk" }],
      [{ enable: { device: "disk", vectors: disk } }, move("hostile", bad)],
      [{ preempt: "guest/1" }, { "resume-vcpu": "guest/1" }, move("sound", 1)],
      [{ disable: "gpu" }],
    ],
  };
}

async function machineWith(
  settings: object,
  { devices, vms, setUp }: Layout,
): Promise<{ machine: Machine; act: Act }> {
  const bench = booted({ machine: { cpus: 5, ...settings }, devices, vms });
  await bench.act(...setUp);
  const { machine } = bench;
  const { vtd } = machine.hardware;
  // The units' own interrupts would come on top of devices'.
  if (vtd !== undefined) vtd.write(registers.FECTL.offset, 32, 1n << 31n);
  else for (const iommu of amdRemapping(machine.kernel).iommus) iommu.setControl({ evtinten: 0, gainten: 0 });
  return bench;
}

describe("of random requests none arrives that was not granted to its device, and all that was", () => {
  test.each<[number, string, object, number]>([
    [250_000, "VT-d", {}, 1],
    [250_000, "VT-d", {}, 2],
    [250_000, "VT-d", {}, 3],
    [250_000, "VT-d", {}, 4],
    [100_000, "VT-d that fetches entries by lines", { profile: "vtd-line-cache" }, 5],
    [100_000, "VT-d in xAPIC mode", { x2apic: false }, 6],
    [100_000, "VT-d without posting", { cmdline: "intel_iommu=on intremap=nopost" }, 7],
    [200_000, "AMD-Vi", { vendor: "amd", cmdline: "" }, 8],
    [200_000, "AMD-Vi", { vendor: "amd", cmdline: "" }, 9],
  ])("of %d on %s, %o, layout %d", { timeout: 30_000 }, async (requests, _, settings, seed) => {
    const layout = layoutOf(seed);
    const { machine, act } = await machineWith(settings, layout);
    const search = new Search(machine, seed);
    const stretches = [[], ...layout.changes];
    for (const stretch of stretches) {
      await act(...stretch);
      search.run(Math.ceil(requests / stretches.length));
    }
    expect(search.breaches).toEqual([]);
    expect(search.withheld).toEqual([]);
    expect(search.remapped).toBeGreaterThan(requests / 400);
    expect(search.posted > requests / 400).toBe(machine.kernel.remapping!.postingCapable);
    expect(search.blocked).toBeGreaterThan(requests / 2);
  });
});

test("with nosid the same search finds the spoof", async () => {
  const { machine } = await machineWith({ cmdline: "intel_iommu=on intremap=nosid" }, layoutOf(1));
  const search = new Search(machine, 1);
  search.run(20_000);
  expect(search.withheld).toEqual([]);
  expect(search.breachCount).toBeGreaterThan(100);
  const table = intelRemapping(machine.kernel).units[0]!.table!;
  for (const { index } of search.breaches) expect(table.isTaken(index)).toBe(true);
  expect(search.breaches.map(({ requester }) => requester)).toContain(hostile);
});

test("without remapping it finds every CPU reached, with every kind of interrupt", async () => {
  const cmdline = "intel_iommu=on intremap=off vfio_iommu_type1.allow_unsafe_interrupts=1";
  const { machine } = await machineWith({ cmdline }, layoutOf(2, { multiMsi: false }));
  const search = new Search(machine, 1);
  search.run(20_000);
  const reached = search.breaches.flatMap((breach) => breach.reached);
  for (const what of ["nmi", "smi", "init", "CPU 0", "CPU 3"]) {
    expect(reached.some((one) => one.includes(what))).toBe(true);
  }
});

/** Random words, and such as an entry is made of. */
function overwrite(
  machine: Machine,
  written: Set<number>,
): { every: number; act: (random: () => number) => void } {
  const { base } = intelRemapping(machine.kernel).units[0]!.table!;
  return {
    every: 8,
    act(random) {
      const index = (random() >>> 8) % 48;
      const lawful = encode(irteRemapped, {
        p: 1,
        v: 0x20 + ((random() >>> 8) % 0xd0),
        dst: (random() >>> 8) % 4,
        svt: 1,
        sid: hostile,
      });
      for (let i = 0; i < 4; i++) {
        const word = Number(BigInt.asUintN(32, lawful >> BigInt(32 * i)));
        const value = (random() & 0xf00) === 0 ? random() >>> 0 : word;
        const routed = machine.hardware.root.write(hostile, base + 16 * index + 4 * i, value);
        if (routed.to === "memory") written.add(index);
      }
    },
  };
}

describe("when the device writes to its table", () => {
  test("and nothing confines its DMA, the search finds the overwritten entries", async () => {
    const { machine } = await machineWith({}, layoutOf(3, { confined: false }));
    const written = new Set<number>();
    const search = new Search(machine, 1);
    search.run(20_000, overwrite(machine, written));
    expect(search.breachCount).toBeGreaterThan(100);
    for (const { index } of search.breaches) expect(written).toContain(index);
  });

  test("and DMA remapping confines it, the search finds nothing", async () => {
    const { machine } = await machineWith({}, layoutOf(3));
    const written = new Set<number>();
    const search = new Search(machine, 1);
    search.run(100_000, overwrite(machine, written));
    expect(written.size).toBe(0);
    expect(search.breaches).toEqual([]);
    expect(search.withheld).toEqual([]);
    expect(search.posted).toBeGreaterThan(1000);
  });
});
