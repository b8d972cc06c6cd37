import { readDmar } from "../dmar.ts";
import { readIvrs } from "../ivrs.ts";
import { readMadt } from "../madt.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct, typeOf } from "./kernel-struct.ts";
import type { KernelWalk } from "./walk-context.ts";
import { dword, textUpToZero } from "./words.ts";

const tableLimit = 1024;
const headerBytes = 36;
/** 1 MiB; a MADT of 8,192 processors has 130 KB. */
const bytesLimit = 1 << 20;

/** DMAR, IVRS and MADT, where the kernel's list of ACPI tables says that they lie. */
export function walkFirmware(walk: KernelWalk): void {
  const { kernel, draft } = walk;
  const { firmware } = draft;
  const list = new KernelStruct(kernel, "acpi_table_list", walk.symbol("acpi_gbl_root_table_list"));
  const first = list.pointer("tables");
  const count = list.u32("current_table_count");
  if (count > tableLimit) walk.missing("some ACPI tables", `expected at most ${tableLimit}, found ${count}`);
  const type = typeOf(kernel, "acpi_table_desc");
  for (let i = 0; i < Math.min(count, tableLimit); i++) {
    const table = new KernelStruct(kernel, type, first + BigInt(i * type.size));
    const signature = textUpToZero(table.bytes("signature"), 0, 4);
    const address = table.u64("address");
    const place = `ACPI table at 0x${address.toString(16)}`;
    const read = <Table>(name: string, reader: (bytes: Uint8Array) => Table): { table: Table } | undefined =>
      walk.attempt(`ACPI table ${name}`, () => ({ table: reader(tableBytes(kernel, table)) }));
    if (signature === "DMAR" && firmware.dmar === undefined) {
      const found = read("DMAR", readDmar);
      if (found !== undefined) firmware.dmar = walk.fact(found.table, place);
    } else if (signature === "IVRS" && firmware.ivrs === undefined) {
      const found = read("IVRS", readIvrs);
      if (found !== undefined) firmware.ivrs = walk.fact(found.table, place);
    } else if (signature === "APIC" && firmware.madt === undefined) {
      const found = read("MADT", readMadt);
      if (found !== undefined) firmware.madt = walk.fact(found.table, place);
    }
  }
}

/**
 * By physical address where RAM can be read so: firmware's tables are not in the direct map. A running kernel may have
 * it mapped, and sysfs has it.
 */
function tableBytes(kernel: Kernel, table: KernelStruct): Uint8Array {
  const length = table.u32("length");
  const [memory, address] =
    kernel.ram !== undefined
      ? [kernel.ram, table.u64("address")]
      : table.pointer("pointer") !== 0n
        ? [kernel.memory, table.pointer("pointer")]
        : [kernel.memory, kernel.virtual(table.u64("address"))];
  // As long as its own header says, or as the list says where that is not to be believed.
  const said = dword(memory.read(address, headerBytes), 4);
  return memory.read(
    address,
    Math.min(said >= headerBytes && said <= bytesLimit ? said : length, bytesLimit),
  );
}
