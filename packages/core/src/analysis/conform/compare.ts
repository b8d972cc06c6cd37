import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import { hexOf } from "../../spec/shape.ts";
import type { Handed, Sent, Sight } from "./sight.ts";

/** Where what was seen is not what was expected, as text. */
export interface Difference {
  /** The scene, from 0. */
  readonly scene: number;
  readonly what: keyof Sight;
  readonly expected: string;
  readonly got: string;
}

/** What a machine may show of a destination. */
const shownDestination = 0xff;

/**
 * Whether two machines were seen to do the same.
 * @param got may show eight bits of a destination where `expected` has more.
 */
export function sameSights(expected: readonly Sight[], got: readonly Sight[]): boolean {
  if (expected.length !== got.length) return false;
  for (let i = 0; i < expected.length; i++) if (!sameSight(expected[i]!, got[i]!)) return false;
  return true;
}

export function sameSight(expected: Sight, got: Sight): boolean {
  return (
    same(expected.sent, got.sent, sameSent) &&
    same(expected.handed, got.handed, sameHanded) &&
    same(expected.faults, got.faults, Object.is) &&
    same(expected.registers, got.registers, Object.is) &&
    same(expected.memory, got.memory, Object.is) &&
    sameIrr(expected.irr, got.irr)
  );
}

function same<T>(a: readonly T[], b: readonly T[], equal: (a: T, b: T) => boolean): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!equal(a[i]!, b[i]!)) return false;
  return true;
}

function sameSent(a: Sent, b: Sent): boolean {
  return a.data === b.data && a.address === b.address;
}

function sameHanded(a: Handed, b: Handed): boolean {
  return (
    a.vector === b.vector &&
    (a.destination === b.destination || narrowed(a, b)) &&
    a.logical === b.logical &&
    a.deliveryMode === b.deliveryMode &&
    a.level === b.level
  );
}

function narrowed(expected: Handed, got: Handed): boolean {
  return (
    expected.destination > shownDestination && got.destination === (expected.destination & shownDestination)
  );
}

/** Whether a destination was compared in its eight lowest bits only. */
export function narrowlyCompared(expected: readonly Sight[], got: readonly Sight[]): boolean {
  return expected.some(({ handed }, i) => handed.some((one, n) => narrowed(one, got[i]!.handed[n]!)));
}

function sameIrr(a: Sight["irr"], b: Sight["irr"]): boolean {
  if (a === null || b === null) return true;
  return same(a, b, (one, other) => same(one, other, Object.is));
}

/** Every part of every scene in which two runs differ. */
export function differencesOf(
  vendor: Vendor,
  expected: readonly Sight[],
  got: readonly Sight[],
): Difference[] {
  const found: Difference[] = [];
  for (const [scene, one] of expected.entries()) {
    const other = got[scene];
    if (other === undefined) {
      found.push({ scene, what: "sent", expected: printSight(vendor, one), got: "nothing was seen" });
      continue;
    }
    for (const what of Object.keys(printers) as (keyof Sight)[]) {
      if (sameSight(one, { ...one, [what]: other[what] })) continue;
      const print = printers[what] as (value: unknown, vendor: Vendor) => string;
      found.push({ scene, what, expected: print(one[what], vendor), got: print(other[what], vendor) });
    }
  }
  return found;
}

const none = "nothing";

const listed = <T>(list: readonly T[], print: (one: T) => string): string =>
  list.length === 0 ? none : list.map(print).join(", ");

const printers: { readonly [K in keyof Sight]: (value: Sight[K], vendor: Vendor) => string } = {
  sent: (list) => listed(list, ({ address, data }) => `${hexOf(address)}/${hexOf(data)}`),
  handed: (list) =>
    listed(
      list,
      ({ destination, logical, deliveryMode, vector, level }) =>
        `${logical === 1 ? "logical " : ""}destination ${hexOf(destination)} vector ${hexOf(vector)} mode ${deliveryMode}${level === 1 ? " level" : ""}`,
    ),
  faults: (list, vendor) => (vendor === "intel" ? printVtdFaults(list) : printEvents(list)),
  registers: (list) => listed(list, hexOf),
  memory: (list) => listed(list, hexOf),
  irr: (list) => (list === null ? none : list.map((one, id) => `${id}: ${listed(one, hexOf)}`).join("; ")),
};

function printVtdFaults([status, ...records]: readonly bigint[]): string {
  const found = records.flatMap((high, i) =>
    i % 2 === 1 && high !== 0n ? [`${hexOf(high)} ${hexOf(records[i - 1]!)}`] : [],
  );
  return `FSTS ${hexOf(status ?? 0n)}, ${listed(found, (one) => `record ${one}`)}`;
}

function printEvents(list: readonly bigint[]): string {
  return listed(
    list.filter((_, i) => i % 2 === 0).map((low, i) => [low, list[2 * i + 1]!] as const),
    ([low, high]) => `event ${hexOf(low)} ${hexOf(high)}`,
  );
}

/** What was seen of a scene, in one line. */
export function printSight(vendor: Vendor, sight: Sight): string {
  const { sent, handed, faults, registers, memory } = sight;
  const parts = [
    sent.length === 0
      ? "nothing sent"
      : `sent ${printers.sent(sent, vendor)} (${printers.handed(handed, vendor)})`,
    printers.faults(faults, vendor),
  ];
  if (registers.length > 0) parts.push(`registers ${printers.registers(registers, vendor)}`);
  if (memory.length > 0) parts.push(`memory ${printers.memory(memory, vendor)}`);
  return parts.join("; ");
}
