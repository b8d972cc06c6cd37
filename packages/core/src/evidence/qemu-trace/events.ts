import type { TraceHandler, Vendor } from "./handler.ts";
import { textOf } from "./names.ts";

/** One trace event that has a meaning for interrupts. */
export interface TraceEvent {
  readonly name: string;
  /** Undefined for an event of both vendors. */
  readonly vendor?: Vendor;
  /** Of the arguments, see {@link Pattern}. */
  readonly format: string;
  readonly method: Exclude<keyof TraceHandler, "malformed">;
  /** Hands the fields to the method, which the reader has made sure of. `bytes` is the line's, for events with text. */
  readonly emit: (handler: TraceHandler, line: number, fields: Int32Array, bytes: Uint8Array) => void;
}

/** No more of a text argument is kept. */
const textLimit = 120;
const unknownSid = 0xffff;

function sidOf(field: number): number {
  return field === unknownSid ? -1 : field;
}

function text(f: Int32Array, bytes: Uint8Array): string {
  return textOf(bytes, f[0]!, Math.min(f[1]!, f[0]! + textLimit));
}

const common: readonly TraceEvent[] = [
  {
    name: "apic_deliver_irq",
    format: "dest %d dest_mode %d delivery_mode %d vector %d trigger_mode %d",
    method: "delivered",
    emit: (h, line, f) => h.delivered!(line, f[0]!, f[1]!, f[2]!, f[3]!, f[4]!),
  },
  {
    name: "x86_iommu_iec_notify",
    format: "Notify IEC invalidation: global=%d index=%d mask=%d",
    method: "iecNotify",
    emit: (h, line, f) => h.iecNotify!(line, f[0]!, f[1]!, f[2]!),
  },
  {
    name: "cpu_set_apic_base",
    format: "%x",
    method: "apicBase",
    emit: (h, line, f) => h.apicBase!(line, f[0]!, f[1]!),
  },
];

const outcomeFormat = "(addr %x, data %w) -> (addr %x, data %w)";

const vtd: readonly Omit<TraceEvent, "vendor">[] = [
  {
    name: "vtd_ir_remap_msi_req",
    format: "addr %x data %w[ sid %w do_fault %d]",
    method: "request",
    emit: (h, line, f) => h.request!(line, f[0]!, f[1]!, f[2]!, sidOf(f[3]!), f[4]),
  },
  {
    // The two labels are exchanged in the source: what is printed as `low` is the entry's high half.
    name: "vtd_ir_irte_get",
    format: "index %d low %x high %x",
    method: "vtdEntry",
    emit: (h, line, f) => h.vtdEntry!(line, f[0]!, f[3]!, f[4]!, f[1]!, f[2]!),
  },
  {
    name: "vtd_ir_remap",
    format: "index %d trigger %d vector %d deliver %d dest %w mode %d",
    method: "vtdDecoded",
    emit: (h, line, f) => h.vtdDecoded!(line, f[0]!, f[1]!, f[2]!, f[3]!, f[4]!, f[5]!),
  },
  {
    name: "vtd_ir_remap_type",
    format: "%s",
    method: "vtdRequestKind",
    emit: (h, line) => h.vtdRequestKind!(line),
  },
  {
    name: "vtd_ir_remap_msi",
    format: outcomeFormat,
    method: "remapped",
    emit: (h, line, f) => h.remapped!(line, f[0]!, f[1]!, f[2]!, f[3]!, f[4]!, f[5]!),
  },
  {
    name: "vtd_warn_ir_vector",
    format: "sid %w index %d vec %d (should be: %d)",
    method: "vtdRequester",
    emit: (h, line, f) => h.vtdRequester!(line, sidOf(f[0]!)),
  },
  {
    name: "vtd_warn_ir_trigger",
    format: "sid %w index %d trigger %d (should be: %d)",
    method: "vtdRequester",
    emit: (h, line, f) => h.vtdRequester!(line, sidOf(f[0]!)),
  },
  {
    name: "vtd_reg_write",
    format: "addr %w size %w value %x",
    method: "vtdRegisterWrite",
    emit: (h, line, f) => h.vtdRegisterWrite!(line, f[0]!, f[1]!, f[2]!, f[3]!),
  },
  {
    name: "vtd_reg_write_gcmd",
    format: "status %w value %w",
    method: "vtdCommand",
    emit: (h, line, f) => h.vtdCommand!(line, f[0]!, f[1]!),
  },
  {
    name: "vtd_ir_enable",
    format: "enable %d",
    method: "vtdEnabled",
    emit: (h, line, f) => h.vtdEnabled!(line, f[0]!),
  },
  {
    name: "vtd_reg_ir_root",
    format: "addr %x size %w",
    method: "vtdTable",
    emit: (h, line, f) => h.vtdTable!(line, f[0]!, f[1]!, f[2]!),
  },
  {
    name: "vtd_inv_qi_tail",
    format: "write tail %d",
    method: "vtdQueueTail",
    emit: (h, line, f) => h.vtdQueueTail!(line, f[0]!),
  },
  {
    name: "vtd_inv_desc",
    format: "invalidate desc type %s high %x low %x",
    method: "vtdDescriptor",
    emit: (h, line, f) => h.vtdDescriptor!(line, f[2]!, f[3]!, f[0]!, f[1]!),
  },
  {
    name: "vtd_inv_desc_iec",
    format: "granularity %w index %w mask %w",
    method: "vtdInvalidate",
    emit: (h, line, f) => h.vtdInvalidate!(line, f[0]!, f[1]!, f[2]!),
  },
  {
    name: "vtd_frr_new",
    format: "index %d high %x low %x",
    method: "vtdFault",
    emit: (h, line, f) => h.vtdFault!(line, f[3]!, f[4]!, f[1]!, f[2]!),
  },
  {
    name: "vtd_irq_generate",
    format: "addr %x data %x",
    method: "ownMessage",
    emit: (h, line) => h.ownMessage!(line),
  },
  {
    name: "vtd_reset_exit",
    format: "",
    method: "vtdReset",
    emit: (h, line) => h.vtdReset!(line),
  },
];

const amdvi: readonly Omit<TraceEvent, "vendor">[] = [
  {
    name: "amdvi_mem_ir_write_req",
    format: "addr %w data %w size %w",
    method: "amdviWrite",
    emit: (h, line, f) => h.amdviWrite!(line, f[0]!, f[1]!, f[2]!),
  },
  {
    name: "amdvi_ir_remap_msi_req",
    format: "addr %x data %w devid %w",
    method: "request",
    emit: (h, line, f) => h.request!(line, f[0]!, f[1]!, f[2]!, f[3]!),
  },
  {
    name: "amdvi_ir_delivery_mode",
    format: "%*",
    method: "amdviDeliveryMode",
    emit: (h, line, f, bytes) => h.amdviDeliveryMode!(line, text(f, bytes)),
  },
  {
    name: "amdvi_ir_intctl",
    format: "int_ctl %w",
    method: "amdviIntCtl",
    emit: (h, line, f) => h.amdviIntCtl!(line, f[0]!),
  },
  {
    name: "amdvi_ir_irte",
    format: "addr %x offset %w",
    method: "amdviEntryAddress",
    emit: (h, line, f) => h.amdviEntryAddress!(line, f[0]!, f[1]!, f[2]!),
  },
  {
    name: "amdvi_ir_irte_val",
    format: "data %w",
    method: "amdviEntry",
    emit: (h, line, f) => h.amdviEntry!(line, 4, f[0]!, 0, 0, 0),
  },
  {
    name: "amdvi_ir_irte_ga_val",
    format: "hi %x lo %x",
    method: "amdviEntry",
    emit: (h, line, f) => h.amdviEntry!(line, 16, f[2]!, f[3]!, f[0]!, f[1]!),
  },
  {
    name: "amdvi_ir_remap_msi",
    format: outcomeFormat,
    method: "remapped",
    emit: (h, line, f) => h.remapped!(line, f[0]!, f[1]!, f[2]!, f[3]!, f[4]!, f[5]!),
  },
  {
    name: "amdvi_ir_target_abort",
    format: "%*",
    method: "amdviBlocked",
    emit: (h, line, f, bytes) => h.amdviBlocked!(line, text(f, bytes)),
  },
  {
    name: "amdvi_ir_err",
    format: "%*",
    method: "amdviBlocked",
    emit: (h, line, f, bytes) => h.amdviBlocked!(line, text(f, bytes)),
  },
  {
    name: "amdvi_err",
    format: "%*",
    method: "amdviBlocked",
    emit: (h, line, f, bytes) => h.amdviBlocked!(line, text(f, bytes)),
  },
  {
    name: "amdvi_control_status",
    format: "MMIO_STATUS state %x",
    method: "amdviControl",
    emit: (h, line, f) => h.amdviControl!(line, f[0]!, f[1]!),
  },
  {
    name: "amdvi_intr_inval",
    format: "Interrupt table invalidated",
    method: "amdviInvalidateTable",
    emit: (h, line) => h.amdviInvalidateTable!(line),
  },
  {
    name: "amdvi_devtab_inval",
    format: "device table entry for devid: %h:%h.%h invalidated",
    method: "amdviInvalidateDevice",
    emit: (h, line, f) =>
      h.amdviInvalidateDevice!(line, ((f[0]! & 0xff) << 8) | ((f[1]! & 0x1f) << 3) | (f[2]! & 7)),
  },
  {
    name: "amdvi_all_inval",
    format: "Invalidation of all AMD-Vi cache requested",
    method: "amdviInvalidateAll",
    emit: (h, line) => h.amdviInvalidateAll!(line),
  },
  {
    name: "amdvi_completion_wait",
    format: "completion wait requested with store address %x and store data %x",
    method: "amdviCompletionWait",
    emit: (h, line) => h.amdviCompletionWait!(line),
  },
  {
    name: "amdvi_command_exec",
    format: "command buffer head at %x command buffer tail at %x command buffer base at %x",
    method: "amdviCommand",
    emit: (h, line, f) => h.amdviCommand!(line, f[0]!, f[2]!, f[4]!, f[5]!),
  },
  ...["amdvi_pages_inval", "amdvi_iotlb_inval", "amdvi_prefetch_pages", "amdvi_ppr_exec"].map(otherCommand),
  {
    name: "amdvi_unhandled_command",
    format: "unhandled command %d",
    method: "amdviIllegalCommand",
    emit: (h, line, f) => h.amdviIllegalCommand!(line, f[0]!),
  },
  {
    name: "amdvi_command_read_fail",
    format: "%*",
    method: "amdviCommandUnreadable",
    emit: (h, line) => h.amdviCommandUnreadable!(line),
  },
  {
    name: "amdvi_mmio_write",
    format: "%s write addr %x, size %d, val %x, offset %x",
    method: "amdviRegisterWrite",
    emit: (h, line, f) => h.amdviRegisterWrite!(line, f[0]!, f[2]!, f[3]!, f[4]!),
  },
  {
    name: "amdvi_generate_msi_interrupt",
    format: "%*",
    method: "ownMessage",
    emit: (h, line) => h.ownMessage!(line),
  },
];

function otherCommand(name: string): Omit<TraceEvent, "vendor"> {
  return { name, format: "%*", method: "amdviOtherCommand", emit: (h, line) => h.amdviOtherCommand!(line) };
}

function of(vendor: Vendor): (event: Omit<TraceEvent, "vendor">) => TraceEvent {
  return (event) => ({ ...event, vendor });
}

/** Every event that a handler can ask for. */
export const traceEvents: readonly TraceEvent[] = [
  ...common,
  ...vtd.map(of("intel")),
  ...amdvi.map(of("amd")),
];
