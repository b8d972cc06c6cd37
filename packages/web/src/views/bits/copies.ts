import {
  type Context,
  type Naming,
  decode,
  decodeDocument,
  decodeKind,
  documentText,
  fieldsOf,
  hex,
  jsonText,
  printRequester,
  table,
} from "@intremap/core";
import { digitsOf, wordsOf } from "../../parts/hex-text.ts";
import type { Subject } from "../../parts/subject.ts";

export const copyForms = ["hex", "json", "debugfs", "c"] as const;

export type CopyForm = (typeof copyForms)[number];

const copyTitles: Readonly<Record<CopyForm, string>> = {
  hex: "Hex",
  json: "JSON",
  debugfs: "Row as Linux prints it",
  c: "C initializer",
};

export function copyTitle(form: CopyForm, { kind }: Subject): string {
  return form === "debugfs" && kind === "msi" ? "Row as lspci prints it" : copyTitles[form];
}

interface CopyOptions {
  readonly names: Naming;
  readonly context: Context;
  /** The entry's place in its table. */
  readonly index: number;
}

/** The subject as a text of that form; null where the form has none for it. */
export function copyOf(form: CopyForm, subject: Subject, options: CopyOptions): string | null {
  switch (form) {
    case "hex":
      return subject.text;
    case "json":
      return jsonOf(subject, options);
    case "debugfs":
      return rowOf(subject, options.index);
    default:
      return initializerOf(subject);
  }
}

/** What `decode --json` prints; of a layout that is no kind, the same keys. */
function jsonOf(subject: Subject, { names, context }: CopyOptions): string {
  const { kind, title, section, mode, violations, parts } = subject;
  if (kind !== null) {
    const decoded = decodeKind(kind, subject.text.split(" "), { names, ...context });
    return documentText("decode", decodeDocument(decoded, names)).trimEnd();
  }
  const [{ layout, value }] = parts as [(typeof parts)[number]];
  const fields = Object.fromEntries(table(layout, value, names).map(({ name, value }) => [name, value]));
  return jsonText({ layout: layout.name, title, section, mode, names, fields, violations });
}

function rowOf({ kind, words, parts, text }: Subject, index: number): string | null {
  const [word = 0n] = words;
  const layout = parts[0]!.layout;
  const fields = decode(layout, word) as Readonly<Record<string, number | bigint>>;
  const columns = (name: string, destination: string, vector: string): string => {
    const [high, low] = text.split(" ");
    const requester = printRequester(Number(fields["sid"]));
    return [
      ` Entry SrcID   ${name} Vct IRTE_high           IRTE_low`,
      ` ${String(index).padEnd(5)} ${requester} ${destination} ${digitsOf(BigInt(fields[vector]!), 8)}  ${high}    ${low}`,
    ].join("\n");
  };
  switch (kind) {
    case "irte": {
      if (layout.name === "irte-posted") {
        const pda = wordsOf(BigInt(fields["pda"]!), 64, 32).join(" ");
        return columns("PDA_high PDA_low ", pda, "vv");
      }
      return columns("DstID   ", digitsOf(BigInt(fields["dst"]!), 32), "v");
    }
    case "amd-irte":
      return `IRT[${String(index).padStart(4, "0")}] ${text}`;
    case "dte":
      return [
        "DeviceId             QWORD[3]         QWORD[2]         QWORD[1]         QWORD[0] iommu",
        `0000:00:00.0 ${text} iommu0`,
      ].join("\n");
    case "msi":
      return `Address: ${text.replace(" ", "  Data: ")}`;
    default:
      return null;
  }
}

/** The low 32 bits. */
function narrow(value: bigint): string {
  return `0x${digitsOf(value & 0xffffffffn, 32)}`;
}

/** The structure that Linux keeps it in, and the values of its members. */
function members(subject: Subject): readonly [type: string, members: readonly (readonly [string, string])[]] {
  const [word = 0n, data = 0n] = subject.words;
  const width = subject.parts[0]!.layout.width;
  const wide = (bits: number): string[] => wordsOf(word, bits).map((digits) => `0x${digits}ULL`);
  switch (subject.kind) {
    case "irte": {
      const [high, low] = wide(128) as [string, string];
      return [
        "struct irte irte",
        [
          [".low", low],
          [".high", high],
        ],
      ];
    }
    case "amd-irte": {
      if (width === 32) return ["union irte irte", [[".val", narrow(word)]]];
      const [high, low] = wide(128) as [string, string];
      return [
        "struct irte_ga irte",
        [
          [".lo.val", low],
          [".hi.val", high],
        ],
      ];
    }
    case "dte":
      return ["struct dev_table_entry dte", [[".data", `{ ${wide(256).reverse().join(", ")} }`]]];
    case "pid": {
      const quads = wide(512).reverse();
      const rest = wordsOf(word >> 320n, 192, 32).reverse();
      const software =
        word >> 320n === 0n ? [] : [[".rsvd", `{ ${rest.map((one) => `0x${one}`).join(", ")} }`] as const];
      return [
        "struct pi_desc pi",
        [[".pir64", `{ ${quads.slice(0, 4).join(", ")} }`], [".control", quads[4]!], ...software],
      ];
    }
    case "msi":
      return [
        "struct msi_msg msg",
        [
          [".address_lo", narrow(word)],
          [".address_hi", narrow(word >> 32n)],
          [".data", narrow(data)],
        ],
      ];
    case "ioapic-rte":
      return [
        "struct IO_APIC_route_entry entry",
        [
          [".w1", narrow(word)],
          [".w2", narrow(word >> 32n)],
        ],
      ];
    case "iec": {
      const quads = wide(subject.text.length * 4).reverse();
      return ["struct qi_desc desc", quads.map((quad, i) => [`.qw${i}`, quad] as const)];
    }
    default: {
      const quads = wide(width).reverse();
      return quads.length === 1
        ? ["u64 value", [["", quads[0]!]]]
        : ["u64 value[]", quads.map((quad) => ["", quad] as const)];
    }
  }
}

/** Fields that are not 0, with both names, above the members that hold them. */
function initializerOf(subject: Subject): string {
  const [type, list] = members(subject);
  const told = subject.parts.flatMap(({ layout, value }) => {
    const values = decode(layout, value) as Readonly<Record<string, number | bigint>>;
    return fieldsOf(layout)
      .filter(([name]) => values[name] !== 0)
      .map(([name, { linux }]) => `${linux ?? name} ${hex(values[name]!)}`);
  });
  const comment = `/* ${subject.title}, ${subject.section}:${told.length === 0 ? " all 0" : ""}`;
  const [only] = list;
  const body =
    list.length === 1 && only![0] === ""
      ? `${type} = ${only![1]};`
      : [
          `${type} = {`,
          ...list.map(([name, value]) => `\t${name === "" ? "" : `${name} = `}${value},`),
          "};",
        ].join("\n");
  return [wrapped(comment, told), body].join("\n");
}

function wrapped(head: string, told: readonly string[]): string {
  const lines = [head];
  for (const [i, one] of told.entries()) {
    const piece = `${one}${i === told.length - 1 ? "" : ","}`;
    if (i % 6 === 0) lines.push(` * ${piece}`);
    else lines[lines.length - 1] += ` ${piece}`;
  }
  return `${lines.join("\n")} */`;
}
