import { cite } from "../cite.ts";
import { type Layout, bit, bits, layout } from "../layout.ts";

/** Bytes of one command. */
export const commandBytes = 16;

/** Opcodes, by the names of the document. */
export const commandCodes = {
  COMPLETION_WAIT: 1,
  INVALIDATE_DEVTAB_ENTRY: 2,
  INVALIDATE_IOMMU_PAGES: 3,
  INVALIDATE_IOTLB_PAGES: 4,
  INVALIDATE_INTERRUPT_TABLE: 5,
  PREFETCH_IOMMU_PAGES: 6,
  COMPLETE_PPR_REQUEST: 7,
  INVALIDATE_IOMMU_ALL: 8,
  INSERT_GUEST_EVENT: 9,
  RESET_VMMIO: 10,
} as const;

export type CommandName = keyof typeof commandCodes;

const names = new Map<number, CommandName>(
  (Object.entries(commandCodes) as [CommandName, number][]).map(([name, code]) => [code, name]),
);

/** The name of an opcode; undefined for one that the document does not define. */
export function commandNameOf(code: number): CommandName | undefined {
  return names.get(code);
}

const reserved = "amdvi.command.reserved";
const opcode = bits(63, 60, "Opcode", { values: Object.fromEntries(names) });
const devid = bits(15, 0, "DeviceID");

/** What every command begins with. */
export const commandHeader = layout({
  name: "amdvi-command-header",
  title: "Command header",
  width: 128,
  section: cite("amdvi", "2.4"),
  fields: { opcode },
});

export const completionWait = layout({
  name: "amdvi-completion-wait",
  title: "COMPLETION_WAIT command",
  width: 128,
  section: cite("amdvi", "2.4.1"),
  reserved,
  fields: {
    s: bit(0, "Store"),
    i: bit(1, "Interrupt"),
    f: bit(2, "Flush queue"),
    address: bits(51, 3, "Store Address", { scale: 3 }),
    opcode,
    data: bits(127, 64, "Store Data"),
  },
});

export const invalidateDevtabEntry = layout({
  name: "amdvi-invalidate-devtab-entry",
  title: "INVALIDATE_DEVTAB_ENTRY command",
  width: 128,
  section: cite("amdvi", "2.4.2"),
  reserved,
  fields: { devid, opcode },
});

/** There is no form for one index: the whole table of the device goes. */
export const invalidateInterruptTable = layout({
  name: "amdvi-invalidate-interrupt-table",
  title: "INVALIDATE_INTERRUPT_TABLE command",
  width: 128,
  section: cite("amdvi", "2.4.5"),
  reserved,
  fields: { devid, opcode },
});

export const invalidateIommuAll = layout({
  name: "amdvi-invalidate-iommu-all",
  title: "INVALIDATE_IOMMU_ALL command",
  width: 128,
  section: cite("amdvi", "2.4.8"),
  reserved,
  fields: { opcode },
});

/** The commands whose bits the model judges, by opcode; those that concern DMA alone are accepted as they are. */
export const commandLayouts: Readonly<Record<number, Layout>> = {
  [commandCodes.COMPLETION_WAIT]: completionWait,
  [commandCodes.INVALIDATE_DEVTAB_ENTRY]: invalidateDevtabEntry,
  [commandCodes.INVALIDATE_INTERRUPT_TABLE]: invalidateInterruptTable,
  [commandCodes.INVALIDATE_IOMMU_ALL]: invalidateIommuAll,
};
