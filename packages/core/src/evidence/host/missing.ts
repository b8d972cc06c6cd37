import type { HostDraft } from "./draft.ts";
import type { FileReader } from "./file-reader.ts";

const walk = "root on the running host, a vmcore, or /sys/kernel/debug/iommu";

/** Names what somebody would look for and that no file said. */
export function addMissing(files: FileReader, draft: HostDraft): void {
  const add = (what: string, why: string, needs: string | null): void => {
    // Another reader may have said it, and why.
    if (!draft.missing.some((known) => known.what === what)) draft.missing.push({ what, why, needs });
  };
  for (const { what, why, count } of files.refusals) {
    add(what, count === 1 ? why : `${why} (and ${count - 1} more)`, needsOf(why));
  }
  for (const unit of draft.units) {
    const none = unit.vendor === "intel" ? unit.table === undefined : unit.tables.size === 0;
    if (none)
      add(
        `interrupt remapping ${unit.vendor === "intel" ? "table" : "tables"} of ${unit.name}`,
        absent,
        walk,
      );
    if (unit.registers.size === 0) add(`registers of ${unit.name}`, absent, "/sys/kernel/debug/iommu");
  }
  if (draft.log === undefined) add("kernel log", absent, "the output of dmesg");
  const processors = draft.processors.filter(
    ({ apicId, online }) => apicId === undefined && online?.value !== false,
  );
  if (processors.length > 0) add(`APIC ids of ${processors.length} processors`, absent, "/proc/cpuinfo");
  const cut = [...draft.devices].filter(({ config }) => config !== undefined && config.value.length < 256);
  if (cut.length > 0) {
    add(
      `capabilities of ${cut.length} PCI functions`,
      "only the first 64 bytes of configuration space are there",
      "root: others are not shown the rest",
    );
  }
  if ([...draft.interrupts].every(({ vector }) => vector === undefined)) {
    add("vectors of the interrupts", absent, "root on the running host, a vmcore, or /sys/kernel/debug/irq");
  }
}

const absent = "nothing that was read says it";

function needsOf(why: string): string | null {
  return /permission|EACCES|EPERM/i.test(why) ? "root" : null;
}
