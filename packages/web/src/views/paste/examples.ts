/** What can be pasted, with one of each. */
export const examples: readonly { readonly title: string; readonly text: string }[] = [
  {
    title: "a fault of a VT-d unit",
    text: "DMAR: [INTR-REMAP] Request device [00:1f.0] fault index 0x25 [fault reason 0x26] Blocked an interrupt request due to source-id verification failure",
  },
  {
    title: "an event of an AMD-Vi unit",
    text: "AMD-Vi: Event logged [IO_PAGE_FAULT device=02:00.0 domain=0x0000 address=0xfdf8000040 flags=0x0008]",
  },
  { title: "an entry", text: "0000000000040050 000000800024000d" },
  { title: "an MSI address and its data", text: "fee00338 0000" },
  {
    title: "a message with its entry",
    text: "fee00038 0000\n0000000000040018 000002000022000d",
  },
  {
    title: "rows of debugfs",
    text: `Remapped Interrupt supported on IOMMU: dmar0
 IR table address:100900000

 Entry SrcID   DstID    Vct IRTE_high           IRTE_low
 0     00:0a.0 00000080 24  0000000000040050    000000800024000d
 1     00:0a.0 00000001 ef  0000000000040050    0000000100ef000d
 2     00:02.0 00000002 26  0000000000040010    000000020026000d`,
  },
  {
    title: "lines of a QEMU trace",
    text: "vtd_ir_irte_get index 1 low 0x4ff00 high 0x1000030000d\nvtd_ir_remap_msi addr 0xfee00018 data 0x0, remapped addr 0xfee01004 data 0x30",
  },
];
