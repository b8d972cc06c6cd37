import {
  deviceScope,
  dmarHeader,
  dmarHeaderBytes,
  dmarStructure,
  dmarStructures,
  scopeHeaderBytes,
  scopeStep,
} from "../spec/acpi/dmar.ts";
import { type Value, hex } from "../spec/codec.ts";
import { type AcpiHeader, AcpiTableReader, type TableFinding, addressOf } from "./acpi-table.ts";
import { latin1 } from "./byte-source.ts";

/** A device, or the head of a hierarchy, that a structure speaks of. */
export interface DeviceScope {
  readonly offset: number;
  /** 1 PCI endpoint, 2 PCI sub-hierarchy, 3 IOAPIC, 4 HPET, 5 ACPI name-space device. */
  readonly type: number;
  readonly flags: number;
  /** IOAPIC id, HPET number or ACPI device number. */
  readonly enumerationId: number;
  readonly bus: number;
  readonly path: readonly { readonly device: number; readonly function: number }[];
  /** Bus:device.function as 16 bits where the path has one step, so that it does not depend on bridges. */
  readonly requester: number | undefined;
}

interface Placed {
  readonly offset: number;
  readonly length: number;
}

/** One remapping structure. */
export type DmarStructure = Placed &
  (
    | {
        readonly kind: "DRHD";
        readonly includePciAll: boolean;
        readonly segment: number;
        readonly base: bigint;
        /** Bytes of the register set. */
        readonly registerBytes: number;
        readonly scopes: readonly DeviceScope[];
      }
    | {
        readonly kind: "RMRR";
        readonly segment: number;
        readonly base: bigint;
        /** The last byte. */
        readonly limit: bigint;
        readonly scopes: readonly DeviceScope[];
      }
    | {
        readonly kind: "ATSR";
        readonly allPorts: boolean;
        readonly segment: number;
        readonly scopes: readonly DeviceScope[];
      }
    | { readonly kind: "RHSA"; readonly base: bigint; readonly proximityDomain: number }
    | { readonly kind: "ANDD"; readonly deviceNumber: number; readonly name: string }
    | {
        readonly kind: "SATC";
        readonly atcRequired: boolean;
        readonly segment: number;
        readonly scopes: readonly DeviceScope[];
      }
    | { readonly kind: "SIDP"; readonly segment: number; readonly scopes: readonly DeviceScope[] }
    | { readonly kind: "unknown"; readonly type: number }
  );

export interface DmarTable {
  readonly header: AcpiHeader;
  /** In bits. */
  readonly hostAddressWidth: number;
  readonly interruptRemapping: boolean;
  readonly x2apicOptOut: boolean;
  readonly dmaControlOptIn: boolean;
  readonly structures: readonly DmarStructure[];
  readonly findings: readonly TableFinding[];
}

/**
 * Reads a DMAR table. What is wrong with it becomes findings; structures up to the first one whose length cannot be
 * followed are read.
 * @throws InputError when the bytes end within the table's header or are no DMAR table.
 */
export function readDmar(bytes: Uint8Array): DmarTable {
  const reader = new AcpiTableReader(bytes, "DMAR", dmarHeader);
  const { values } = reader;
  const structures = reader.walk(dmarHeaderBytes, (offset) => readStructure(reader, offset));
  checkOrder(reader, structures);
  return {
    header: reader.header,
    hostAddressWidth: Number(values.haw) + 1,
    interruptRemapping: values.intrremap === 1,
    x2apicOptOut: values.x2apicoptout === 1,
    dmaControlOptIn: values.dmactrlplatformoptin === 1,
    structures,
    findings: reader.findings,
  };
}

const structureBytes = dmarStructure.width / 8;

function readStructure(reader: AcpiTableReader, offset: number): DmarStructure | undefined {
  if (offset + structureBytes > reader.end) {
    reader.report(
      "acpi.dmar.structure-length",
      offset,
      `${reader.end - offset} bytes are left, a header takes 4`,
    );
    return undefined;
  }
  const { type, length } = numbers(reader.decode(dmarStructure, offset));
  const known = dmarStructures[type];
  const least = known === undefined ? structureBytes : known.layout.width / 8;
  if (length < least || offset + length > reader.end) {
    const room = `expected ${least} to ${reader.end - offset}`;
    reader.report(
      "acpi.dmar.structure-length",
      offset,
      `structure of type ${type}: length ${length}, ${room}`,
    );
    // A length of zero, or past the end, leaves nothing to go on with; one that is merely too short can be skipped.
    return length < structureBytes || offset + length > reader.end
      ? undefined
      : { kind: "unknown", type, offset, length };
  }
  if (known === undefined) {
    reader.report("acpi.dmar.structure-unknown", offset, `structure of type ${type} is skipped`);
    return { kind: "unknown", type, offset, length };
  }
  const fields = reader.decode(known.layout, offset);
  const end = offset + length;
  const scopes = known.tail === "scopes" ? readScopes(reader, offset + least, end) : [];
  return { offset, length, ...build(reader, known.kind, fields, offset, scopes, end) };
}

/** What `Omit` alone would do to a union as a whole, done to each of its members. */
type Content<Structure> = Structure extends unknown ? Omit<Structure, keyof Placed> : never;

function build(
  reader: AcpiTableReader,
  kind: (typeof dmarStructures)[number]["kind"],
  fields: Readonly<Record<string, Value>>,
  offset: number,
  scopes: readonly DeviceScope[],
  end: number,
): Content<DmarStructure> {
  const at = (name: string): number => Number(fields[name]);
  const address = (name: string): bigint => addressOf(fields[name]!);
  switch (kind) {
    case "DRHD": {
      const base = address("base");
      if (base === 0n || base % 4096n !== 0n)
        reader.report("acpi.dmar.unit-base", offset + 8, `base is ${hex(base)}`);
      const registerBytes = 4096 * 2 ** at("size");
      return {
        kind,
        includePciAll: at("includepciall") === 1,
        segment: at("segment"),
        base,
        registerBytes,
        scopes,
      };
    }
    case "RMRR": {
      const [base, limit] = [address("base"), address("limit")];
      if (base % 4096n !== 0n || limit % 4096n !== 4095n || limit < base) {
        reader.report("acpi.dmar.reserved-region", offset + 8, `region from ${hex(base)} to ${hex(limit)}`);
      }
      return { kind, segment: at("segment"), base, limit, scopes };
    }
    case "ATSR":
      return { kind, allPorts: at("allports") === 1, segment: at("segment"), scopes };
    case "RHSA":
      return { kind, base: address("base"), proximityDomain: at("proximity") };
    case "ANDD": {
      const name = reader.bytes.subarray(offset + 8, end);
      const terminator = name.indexOf(0);
      if (terminator < 0) reader.report("acpi.dmar.name", offset + 8, "no zero byte ends the name");
      return {
        kind,
        deviceNumber: at("device"),
        name: latin1(terminator < 0 ? name : name.subarray(0, terminator)),
      };
    }
    case "SATC":
      return { kind, atcRequired: at("atcrequired") === 1, segment: at("segment"), scopes };
    case "SIDP":
      break;
  }
  return { kind, segment: at("segment"), scopes };
}

function readScopes(reader: AcpiTableReader, from: number, end: number): DeviceScope[] {
  const scopes: DeviceScope[] = [];
  for (let offset = from; offset < end;) {
    const room = end - offset;
    const length = room < scopeHeaderBytes ? room : reader.bytes[offset + 1]!;
    if (length < scopeHeaderBytes || length > room || length % 2 === 1) {
      reader.report("acpi.dmar.scope-length", offset, `scope of ${length} bytes where ${room} are left`);
      break;
    }
    const { type, flags, id, bus } = numbers(reader.decode(deviceScope, offset));
    if (type < 1 || type > 5) reader.report("acpi.dmar.scope-type", offset, `scope of type ${type}`);
    const path: { device: number; function: number }[] = [];
    for (let step = scopeHeaderBytes; step < length; step += scopeStep.width / 8) {
      path.push(numbers(reader.decode(scopeStep, offset + step)));
    }
    const [only] = path;
    const requester =
      path.length === 1 ? (bus << 8) | ((only!.device & 31) << 3) | (only!.function & 7) : undefined;
    scopes.push({ offset, type, flags, enumerationId: id, bus, path, requester });
    offset += length;
  }
  return scopes;
}

function checkOrder(reader: AcpiTableReader, structures: readonly DmarStructure[]): void {
  const order = dmarStructures.map(({ kind }) => kind as DmarStructure["kind"]);
  let last = 0;
  const closed = new Set<number>();
  for (const structure of structures) {
    const rank = order.indexOf(structure.kind);
    if (rank >= 0 && rank < last) {
      reader.report("acpi.dmar.structure-order", structure.offset, `${structure.kind} after ${order[last]}`);
    }
    last = Math.max(last, rank);
    if (structure.kind !== "DRHD") continue;
    if (closed.has(structure.segment)) {
      reader.report(
        "acpi.dmar.include-all-last",
        structure.offset,
        "a unit with INCLUDE_PCI_ALL stands before it",
      );
    }
    if (structure.includePciAll) closed.add(structure.segment);
  }
  if (!structures.some(({ kind }) => kind === "DRHD")) {
    reader.report("acpi.dmar.unit-missing", dmarHeaderBytes, "there is no DRHD structure");
  }
}

/** Fields that are known to be narrow, as numbers. */
function numbers<Name extends string>(values: { readonly [K in Name]: Value }): {
  readonly [K in Name]: number;
} {
  return values as { readonly [K in Name]: number };
}
