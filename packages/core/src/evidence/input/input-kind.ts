import { isHeader } from "../archive/tar-header.ts";
import { textOf } from "../text/text-of.ts";

/** What an input is, by what it begins with. */
export type InputKind = "memory" | "archive" | "trace" | "text" | "unknown";

/** Bytes that tell the kind of an input. */
export const kindBytes: number = 1 << 16;

const dumps = ["\u007fELF", "KDUMP   ", "DISKDUMP", "makedumpfile\0\0\0\0"];

/** A line of a QEMU trace log: `vtd_ir_irte_get index 1 …`, with or without a time stamp. */
const traceLine = /^(?:\d+@\d+\.\d+:)?[a-z0-9]+(?:_[a-z0-9]+)+ \S/;
/** A time stamp, or an event of a group that has to do with interrupts: other text has words with underscores too. */
const traceMark =
  /^(?:\d+@\d+\.\d+:|(?:amdvi|apic|cpu|hpet|ioapic|kvm|memory_region|msix?|pci|pic|vfio|virtio|vtd|x86_iommu)_)/m;
const linesLooked = 100;

/** @param head the first {@link kindBytes} bytes, or all. */
export function kindOf(head: Uint8Array): InputKind {
  if (dumps.some((magic) => textOf(head.subarray(0, magic.length)) === magic)) return "memory";
  if (isHeader(head)) return "archive";
  const wide = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  if (wide) return "text";
  if (head.includes(0)) return "unknown";
  const text = textOf(head);
  const lines = text.split("\n", linesLooked).filter((line) => line.trim() !== "");
  const traced = lines.filter((line) => traceLine.test(line)).length;
  return traced * 2 > lines.length && traceMark.test(text) ? "trace" : "text";
}
