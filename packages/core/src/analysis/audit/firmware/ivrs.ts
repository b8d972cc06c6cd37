import { type IvhdBlock, type IvhdEntry, effectiveUnits } from "../../../evidence/ivrs.ts";
import { southBridgeIoapic as southBridge } from "../../../spec/amdvi/request.ts";
import { hex } from "../../../spec/codec.ts";
import { printRequester } from "../../../spec/requester.ts";
import { check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import { shows } from "../look.ts";

const noIvrs = "an IVRS table";
const subject = { kind: "firmware", name: "IVRS" } as const;
const varieties: Readonly<Record<number, string>> = { 1: "IOAPIC", 2: "HPET" };

interface Special {
  readonly block: IvhdBlock;
  readonly entry: IvhdEntry;
}

function specialsOf({ state }: AuditedHost): Special[] {
  const { ivrs } = state.firmware;
  if (ivrs === undefined) return [];
  return effectiveUnits(ivrs.value).flatMap((block) =>
    block.entries.filter(({ handle }) => handle !== undefined).map((entry) => ({ block, entry })),
  );
}

/** IOAPIC ids, and requesters, that `ivrs_ioapic=` gives; null where it is there in a form that is not known. */
function overrides({ state }: AuditedHost): { id: number; requester: number }[] {
  const line = state.system.commandLine?.value ?? "";
  const pattern =
    /(?:^|\s)ivrs_ioapic(?:\[(?<a>\d{1,3})\]=|=(?<b>\d{1,3})@)(?:[0-9a-f]{1,4}:)?(?<bus>[0-9a-f]{1,2}):(?<dev>[0-9a-f]{1,2})\.(?<fn>[0-7])/gi;
  return [...line.matchAll(pattern)].map(({ groups }) => ({
    id: Number(groups!["a"] ?? groups!["b"]),
    requester:
      (Number.parseInt(groups!["bus"]!, 16) << 8) |
      ((Number.parseInt(groups!["dev"]!, 16) & 31) << 3) |
      Number(groups!["fn"]),
  }));
}

export const ivrsIoapics = check({
  rule: "linux.amdvi.ioapic-in-ivrs",
  severity: "high",
  vendor: "amd",
  looksAt: "IOAPICs of the MADT against the special entries of the IVRS, ivrs_ioapic=, the kernel log",
  why: "Linux does not remap interrupts while the IVRS leaves an IOAPIC out; it may, where that is not the last one it looks at, and then that IOAPIC's interrupts go astray.",
  fix: "Update the firmware; until then ivrs_ioapic=ID@BUS:DEV.FN on the command line names the IOAPIC.",
  find(host, look) {
    const { ivrs, madt } = host.state.firmware;
    const said = host.says("not-in-ivrs");
    if (ivrs === undefined || madt === undefined) {
      if (said.length === 0) look.lacks(ivrs === undefined ? noIvrs : "a MADT");
      for (const { text, origin } of said) {
        look.at();
        look.add({ subject, title: `The kernel says: ${text}.`, evidence: [{ what: text, origin }] });
      }
      return;
    }
    const named = new Set([
      ...specialsOf(host)
        .filter(({ entry }) => entry.variety === 1)
        .map(({ entry }) => entry.handle!),
      ...overrides(host).map(({ id }) => id),
    ]);
    for (const { id } of madt.value.ioapics) {
      look.at();
      if (named.has(id)) continue;
      look.add({
        subject,
        title: `IOAPIC ${id} is not in the IVRS.`,
        evidence: [
          shows(madt, `the MADT has an IOAPIC with id ${id}`),
          shows(ivrs, `no special entry is for the IOAPIC with id ${id}`),
          ...said
            .filter(({ text }) => text.includes(`[${id}]`))
            .map(({ text, origin }) => ({ what: text, origin })),
        ],
      });
    }
  },
});

export const southBridgeIoapic = check({
  rule: "acpi.ivrs.sb-ioapic",
  severity: "high",
  vendor: "amd",
  looksAt: "special entries of the IVRS, ivrs_ioapic=",
  why: "Linux takes such a table for broken and leaves interrupt remapping off.",
  fix: "Update the firmware; until then ivrs_ioapic=ID@00:14.0 on the command line names the IOAPIC.",
  find(host, look) {
    const { ivrs } = host.state.firmware;
    if (ivrs === undefined) return look.lacks(noIvrs);
    look.at();
    const ioapics = specialsOf(host).filter(({ entry }) => entry.variety === 1);
    // Without any the missing ones are named by the check before this one.
    if (ioapics.length === 0) return;
    const sources = [
      ...ioapics.map(({ entry }) => entry.source!),
      ...overrides(host).map(({ requester }) => requester),
    ];
    if (sources.includes(southBridge)) return;
    look.add({
      subject,
      title: "No IOAPIC of the IVRS is the south bridge's at 00:14.0.",
      evidence: ioapics.map(({ entry }) => ({
        what: `IOAPIC ${entry.handle} is at ${printRequester(entry.source!)}`,
        origin: { ...ivrs.origin, place: `entry at offset ${hex(entry.offset)}` },
      })),
    });
  },
});

export const specialTwice = check({
  rule: "audit.ivrs.special-twice",
  severity: "medium",
  vendor: "amd",
  looksAt: "special entries of the IVRS",
  why: "Which table the interrupts of the IOAPIC or HPET go through is then the kernel's guess; with the wrong one they are lost.",
  fix: "Update the firmware; report the table to the maker of the board.",
  find(host, look) {
    const { ivrs } = host.state.firmware;
    if (ivrs === undefined) return look.lacks(noIvrs);
    const seen = new Map<string, Special>();
    for (const special of specialsOf(host)) {
      look.at();
      const { entry, block } = special;
      const key = `${varieties[entry.variety!] ?? `device of variety ${entry.variety}`} ${entry.handle}`;
      const before = seen.get(key);
      if (before === undefined) seen.set(key, special);
      else if (before.block !== block || before.entry.source !== entry.source)
        look.add({
          subject,
          title: `${key} stands twice in the IVRS: as ${where(before)} and as ${where(special)}.`,
          evidence: [before, special].map((one) => ({
            what: `${key} as ${where(one)}`,
            origin: { ...ivrs.origin, place: `entry at offset ${hex(one.entry.offset)}` },
          })),
        });
    }
  },
});

function where({ block, entry }: Special): string {
  return `${printRequester(entry.source!)} of the unit at ${hex(block.base)}`;
}
