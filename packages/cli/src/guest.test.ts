import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Vendor } from "@intremap/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "./program.ts";
import { guestDisk, intremap } from "./testing/guest/guest-disk.ts";
import { Guest } from "./testing/guest/guest.ts";
import { kernelPackages } from "./testing/guest/kernel-package.ts";
import { type OutsideEntry, amdviEntries, vtdEntries } from "./testing/guest/outside.ts";
import { testIo } from "./testing/test-io.ts";

/** What the tests read of a map; docs/json.md has it all. */
interface Mapped {
  readonly interrupts: readonly {
    readonly unit: string | null;
    readonly index: number | null;
    readonly requester: string | null;
    readonly vector: number | null;
    readonly destination: number | null;
    readonly logical: boolean | null;
    readonly processors: readonly number[] | null;
    readonly irq: number | null;
    readonly name: string | null;
    readonly counts: Readonly<Record<string, number>> | null;
  }[];
}

const kernels = kernelPackages();
const isMissing =
  kernels.length === 0 ||
  !existsSync("/bin/busybox") ||
  ["mksquashfs", "qemu-system-x86_64"].some((tool) => spawnSync(tool, ["-version"]).error !== undefined);

/** What a guest runs; a command's output is a file of its name. */
const script = `
cat /proc/interrupts > interrupts.before
${intremap} map --json > map.json 2> map.errors
cat /proc/interrupts > interrupts.after
${intremap} follow 0000:01:00.0:0 --json > follow.json 2> follow.errors
${intremap} collect > collect.sh
sh collect.sh -o /out/collected.tar.gz > collect.out 2>&1
`;

const folder = mkdtempSync(join(tmpdir(), "intremap-guest-"));
const guests = new Map<Vendor, Guest>();

const bootTime = 300_000;

describe.skipIf(isMissing)(
  "a stock kernel in QEMU (wants tools/fetch-kernels.sh, busybox-static, squashfs-tools, qemu-system-x86)",
  { timeout: 60_000 },
  () => {
    beforeAll(async () => {
      const disk = guestDisk(folder, script);
      // The newest with x2APIC and a maple tree of descriptors, the oldest with xAPIC and a radix tree.
      const boots = [
        ["intel", kernels.at(-1)!],
        ["amd", kernels[0]!],
      ] as const;
      await Promise.all(
        boots.map(async ([vendor, kernel]) => {
          guests.set(vendor, await Guest.boot(kernel, vendor, disk, join(folder, vendor)));
        }),
      );
    }, bootTime);

    afterAll(() => {
      for (const guest of guests.values()) guest.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    describe.each(["intel", "amd"] as const)("%s", (vendor) => {
      const text = (name: string): string => guests.get(vendor)!.files.get(name)?.toString() ?? `no ${name}`;
      const inside = (): Mapped => JSON.parse(text("map.json")) as Mapped;
      const outside = (): Promise<OutsideEntry[]> =>
        (vendor === "intel" ? vtdEntries : amdviEntries)(guests.get(vendor)!, folder);

      test("the command inside says nothing but its document", () => {
        expect(text("map.errors")).toBe("");
        expect(text("follow.errors")).toBe("");
      });

      test("its map holds exactly the entries that QEMU's monitor sees", async () => {
        expect(entriesOf(inside())).toEqual(inOrder(await outside()));
      });

      test("its map holds exactly the irqs of /proc/interrupts, each with its name and counts", () => {
        const before = readInterrupts(text("interrupts.before"));
        const after = readInterrupts(text("interrupts.after"));
        const rows = inside().interrupts.filter(({ irq, name }) => irq !== null && name !== null);
        expect(rows.map(({ irq }) => irq).sort((a, b) => a! - b!)).toEqual([...before.keys()]);
        for (const { irq, name, counts } of rows) {
          expect(name).toBe(before.get(irq!)!.name);
          for (const [cpu, count] of Object.entries(counts!)) {
            expect(count).toBeGreaterThanOrEqual(before.get(irq!)!.counts[Number(cpu)]!);
            expect(count).toBeLessThanOrEqual(after.get(irq!)!.counts[Number(cpu)]!);
          }
        }
      });

      test("an interrupt with an entry goes to the processors whose local APICs match its destination", async () => {
        const apics: string[] = [];
        for (let cpu = 0; cpu < 4; cpu++) apics.push(await guests.get(vendor)!.monitor(`info lapic ${cpu}`));
        const logicalIds = apics.map((apic) => Number.parseInt(/LDR 0x([0-9a-f]+)/.exec(apic)![1]!, 16));
        for (const { index, logical, destination, processors } of inside().interrupts) {
          if (index === null) continue;
          const matching = logicalIds.flatMap((id, cpu) => {
            const matches = logical === true ? (id & destination!) !== 0 : cpu === destination;
            return matches ? [cpu] : [];
          });
          expect(processors).toEqual(matching);
        }
      });

      test("NVMe's first vector would be delivered where its entry says", () => {
        const { interrupts, path } = JSON.parse(text("follow.json")) as {
          interrupts: { outcome: string; irq: number }[];
          path: object[];
        };
        const { irq } = inside().interrupts.find(({ name }) => name === "nvme0q0")!;
        expect(interrupts).toEqual([expect.objectContaining({ outcome: "delivered", irq })]);
        expect(path.length).toBeGreaterThan(10);
      });

      test("a core of it, under KASLR and with no symbol file, gives the same map", async () => {
        const core = join(folder, `${vendor}.core`);
        // One in ELF, one compressed and flattened.
        const answer = await guests
          .get(vendor)!
          .monitor(`dump-guest-memory ${vendor === "amd" ? "-z " : ""}${core}`);
        expect(answer.trim()).toBe("");
        const map = await mapOf(core);
        expect(entriesOf(map)).toEqual(entriesOf(inside()));
        expect(irqsOf(map)).toEqual(irqsOf(inside()));
      });

      test("what its collector packed gives the same irqs and devices", async () => {
        const packed = join(folder, vendor, "out", "collected.tar.gz");
        expect(existsSync(packed), text("collect.out")).toBe(true);
        expect(namesOf(await mapOf(packed))).toEqual(namesOf(inside()));
      });
    });
  },
);

async function mapOf(source: string): Promise<Mapped> {
  const io = testIo();
  await run(["map", "--from", source, "--json"], io);
  expect(io.err()).not.toContain("intremap:");
  return JSON.parse(io.out()) as Mapped;
}

/** Entries that are present, as the monitor's reading has them. */
function entriesOf({ interrupts }: Mapped): OutsideEntry[] {
  const entries = interrupts.flatMap(({ unit, index, requester, vector, destination, logical }) => {
    if (index === null) return [];
    const device = unit!.startsWith("dmar") ? null : requesterId(requester!);
    return [{ device, index, vector: vector!, destination: destination!, logical: logical! }];
  });
  return inOrder(entries);
}

function irqsOf({ interrupts }: Mapped): unknown[] {
  return interrupts
    .filter(({ irq }) => irq !== null)
    .toSorted((a, b) => a.irq! - b.irq!)
    .map(({ irq, unit, index, requester, name, processors }) => ({
      irq,
      unit,
      index,
      requester,
      name,
      processors,
    }));
}

/** Names by irq; where entries cannot be told from files alone, rows stand in another order. */
function namesOf({ interrupts }: Mapped): Map<number, string | null> {
  const rows = interrupts.flatMap(({ irq, name }) => (irq === null ? [] : [[irq, name] as const]));
  return new Map(rows.toSorted(([a], [b]) => a - b));
}

function inOrder(entries: readonly OutsideEntry[]): OutsideEntry[] {
  return entries.toSorted((a, b) => (a.device ?? 0) - (b.device ?? 0) || a.index - b.index);
}

function requesterId(name: string): number {
  const [, bus, device, fn] = /(..):(..)\.(.)$/.exec(name)!;
  return (Number.parseInt(bus!, 16) << 8) | (Number.parseInt(device!, 16) << 3) | Number(fn);
}

/** Rows of devices in /proc/interrupts, of kernels that have four processors. */
function readInterrupts(text: string): Map<number, { name: string; counts: number[] }> {
  const rows = [...text.matchAll(/^ *(\d+):((?: +\d+){4}) +\S+ +(?:\S+)(?: +(.*))?$/gm)];
  return new Map(
    rows.map(([, irq, counts, name = ""]) => [
      Number(irq),
      { name: name.trim(), counts: counts!.trim().split(/ +/).map(Number) },
    ]),
  );
}
