import { type Value, type Values, type Violation, decode, hex, validate } from "../spec/codec.ts";
import type { Layout } from "../spec/layout.ts";
import type { acpiHeaderFields } from "../spec/acpi/table.ts";
import { type RuleId, ruleOf } from "../spec/rules.ts";
import { latin1, littleEndian } from "./byte-source.ts";
import { InputError } from "./input-error.ts";

/** A rule that a table breaks, and the byte offset in the table where it does. */
export interface TableFinding extends Violation {
  readonly offset: number;
}

/** The header that every system description table starts with. */
export interface AcpiHeader {
  readonly signature: string;
  /** Bytes of the whole table, as the header says. */
  readonly length: number;
  readonly revision: number;
  readonly oemId: string;
  readonly oemTableId: string;
  readonly oemRevision: number;
  readonly creatorId: string;
  readonly creatorRevision: number;
}

/** One table under examination: its bytes and what was found wrong with them. */
export class AcpiTableReader<Name extends string = string> {
  readonly bytes: Uint8Array;
  readonly findings: TableFinding[] = [];
  /** Where reading stops: the end that the header states, or that of the bytes if they end before it. */
  readonly end: number;
  readonly header: AcpiHeader;
  /** The fields of the table's own header. */
  readonly values: Values<Name>;

  /** @throws InputError when the bytes are shorter than the header, or carry another signature. */
  constructor(
    bytes: Uint8Array,
    signature: string,
    headerLayout: Layout<Name | keyof typeof acpiHeaderFields>,
  ) {
    const headerBytes = headerLayout.width / 8;
    const found = latin1(bytes.subarray(0, 4));
    if (bytes.length < headerBytes) {
      throw new InputError(
        `${signature}: offset 0x0: expected a header of ${headerBytes} bytes, found ${bytes.length}`,
      );
    }
    if (found !== signature) {
      throw new InputError(
        `${signature}: offset 0x0: expected signature ${signature}, found ${JSON.stringify(found)}`,
      );
    }
    this.bytes = bytes;
    const values = this.decode(headerLayout, 0);
    this.values = values;
    const length = Number(values.length);
    this.header = {
      signature,
      length,
      revision: Number(values.revision),
      oemId: latin1(bytes.subarray(10, 16)),
      oemTableId: latin1(bytes.subarray(16, 24)),
      oemRevision: Number(values.oemrevision),
      creatorId: latin1(bytes.subarray(28, 32)),
      creatorRevision: Number(values.creatorrevision),
    };
    if (length < headerBytes || length > bytes.length) {
      this.report("acpi.length", 4, `length is ${length}, the table has ${bytes.length} bytes`);
    }
    this.end = length < headerBytes ? bytes.length : Math.min(length, bytes.length);
    const sum = bytes.subarray(0, this.end).reduce((sum, byte) => (sum + byte) & 0xff, 0);
    if (sum !== 0) this.report("acpi.checksum", 9, `the bytes sum to ${hex(sum)}`);
  }

  /** Reads what stands one behind the other from an offset on, until one cannot be followed. */
  walk<Part extends { readonly length: number }>(
    from: number,
    read: (offset: number) => Part | undefined,
  ): Part[] {
    const parts: Part[] = [];
    for (let offset = from; offset < this.end;) {
      const part = read(offset);
      if (part === undefined) break;
      parts.push(part);
      offset += part.length;
    }
    return parts;
  }

  report(rule: RuleId, offset: number, found: string): void {
    this.findings.push({ rule, section: ruleOf(rule).section, found, offset });
  }

  /** Decodes the structure at an offset, and reports what is wrong with it; it lies within the bytes. */
  decode<Name extends string>(layout: Layout<Name>, offset: number): Values<Name> {
    const value = littleEndian(this.bytes.subarray(offset, offset + layout.width / 8));
    for (const violation of validate(layout, value)) this.findings.push({ ...violation, offset });
    return decode(layout, value);
  }
}

/** An address as a bigint, whatever the codec made of it. */
export function addressOf(value: Value): bigint {
  return BigInt(value);
}
