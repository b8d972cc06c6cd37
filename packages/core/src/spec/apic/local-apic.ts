import { cite } from "../cite.ts";
import { type Field, type Layout, bit, bits, layout, scattered } from "../layout.ts";
import { deliveryModes } from "../msi/message.ts";

/** Physical address of the register page after reset. */
export const apicDefaultBase = 0xfee00000;

/** IA32_APIC_BASE. */
export const apicBaseMsr = 0x1b;

/** IA32_TSC_DEADLINE. */
export const tscDeadlineMsr = 0x6e0;

const reserved = "apic.register.reserved";
const deliveryStatus = bit(12, "Delivery Status", { values: { 0: "idle", 1: "send pending" } });
const trigger = bit(15, "Trigger Mode", { values: { 0: "edge", 1: "level" } });
const mask = bit(16, "Mask");
const vector = bits(7, 0, "Vector");

/** Delivery modes of an ICR: a start-up message takes the place that is reserved in a device's message. */
const icrDeliveryModes = { ...deliveryModes, 6: "start-up" } as const;

export const apicBase = layout({
  name: "apic-base",
  title: "IA32_APIC_BASE",
  width: 64,
  section: cite("sdm", "11.4.4"),
  reserved: "apic.base.reserved",
  fields: {
    bsp: bit(8, "Bootstrap Processor"),
    extd: bit(10, "x2APIC mode", { section: cite("sdm", "11.12.1") }),
    en: bit(11, "Global enable"),
    base: bits(51, 12, "Base of the register page", { scale: 12 }),
  },
  constraints: [{ rule: "apic.base.invalid-state", given: { extd: [1] }, requires: { en: [1] } }],
});

export const xapicId = layout({
  name: "xapic-id",
  title: "Local APIC ID, xAPIC mode",
  width: 32,
  section: cite("sdm", "11.4.6"),
  fields: { id: bits(31, 24, "APIC ID") },
});

export const x2apicId = layout({
  name: "x2apic-id",
  title: "Local APIC ID, x2APIC mode",
  width: 32,
  section: cite("sdm", "11.12.5.1"),
  fields: { id: bits(31, 0, "x2APIC ID") },
});

export const apicVersion = layout({
  name: "apic-version",
  title: "Local APIC Version",
  width: 32,
  section: cite("sdm", "11.4.8"),
  fields: {
    version: bits(7, 0, "Version"),
    maxlvt: bits(23, 16, "Number of LVT entries, less one"),
    eoisuppress: bit(24, "EOI-broadcast suppression supported"),
  },
});

export const taskPriority = priority("apic-tpr", "Task Priority", "11.8.3.1");
export const arbitrationPriority = priority("apic-apr", "Arbitration Priority", "11.6.2.4");
export const processorPriority = priority("apic-ppr", "Processor Priority", "11.8.3.1");

function priority(name: string, title: string, section: string): Layout<"subclass" | "class"> {
  return layout({
    name,
    title,
    width: 32,
    section: cite("sdm", section),
    reserved,
    fields: { subclass: bits(3, 0, "Priority sub-class"), class: bits(7, 4, "Priority class") },
  });
}

export const xapicLogicalDestination = layout({
  name: "xapic-ldr",
  title: "Logical Destination, xAPIC mode",
  width: 32,
  section: cite("sdm", "11.6.2.2"),
  fields: { id: bits(31, 24, "Logical APIC ID") },
});

/** A logical id in the cluster model: the address of a cluster, and one bit for each of its four members. */
export const clusterId = layout({
  name: "xapic-cluster-id",
  title: "Logical APIC ID, cluster model",
  width: 8,
  section: cite("sdm", "11.6.2.2"),
  fields: { members: bits(3, 0, "Members"), cluster: bits(7, 4, "Cluster") },
});

export const x2apicLogicalDestination = layout({
  name: "x2apic-ldr",
  title: "Logical Destination, x2APIC mode",
  width: 32,
  section: cite("sdm", "11.12.10.1"),
  fields: { members: bits(15, 0, "Members"), cluster: bits(31, 16, "Cluster") },
});

export const destinationFormat = layout({
  name: "apic-dfr",
  title: "Destination Format",
  width: 32,
  section: cite("sdm", "11.6.2.2"),
  fields: {
    ones: bits(27, 0, "All ones"),
    model: bits(31, 28, "Model", { values: { 0: "cluster", 15: "flat" } }),
  },
});

export const spuriousVector = layout({
  name: "apic-svr",
  title: "Spurious-Interrupt Vector",
  width: 32,
  section: cite("sdm", "11.9"),
  reserved,
  fields: {
    v: bits(7, 0, "Spurious vector"),
    en: bit(8, "APIC software enable"),
    fpc: bit(9, "Focus processor checking disabled"),
    eoisuppress: bit(12, "EOI-broadcast suppression"),
  },
});

export const errorStatus = layout({
  name: "apic-esr",
  title: "Error Status",
  width: 32,
  section: cite("sdm", "11.5.3"),
  reserved,
  fields: {
    sendchecksum: bit(0, "Send checksum error"),
    receivechecksum: bit(1, "Receive checksum error"),
    sendaccept: bit(2, "Send accept error"),
    receiveaccept: bit(3, "Receive accept error"),
    redirectable: bit(4, "Redirectable IPI"),
    sendillegal: bit(5, "Send illegal vector"),
    receiveillegal: bit(6, "Receive illegal vector"),
    illegalregister: bit(7, "Illegal register address"),
  },
});

/** The interrupt command register: in xAPIC mode two registers, and the destination lies in bits 63:56. */
export const interruptCommand = layout({
  name: "apic-icr",
  title: "Interrupt Command",
  width: 64,
  section: cite("sdm", "11.6.1"),
  reserved,
  fields: {
    v: vector,
    dlm: bits(10, 8, "Delivery Mode", {
      values: icrDeliveryModes,
      illegal: { values: [3, 7], rule: "apic.icr.delivery-mode" },
    }),
    dm: bit(11, "Destination Mode", { values: { 0: "physical", 1: "logical" } }),
    ds: deliveryStatus,
    level: bit(14, "Level", { values: { 0: "deassert", 1: "assert" } }),
    tm: trigger,
    sh: bits(19, 18, "Destination Shorthand", {
      values: { 0: "none", 1: "self", 2: "all including self", 3: "all excluding self" },
    }),
    dst: bits(63, 32, "Destination"),
  },
});

const lvtDelivery = { v: vector, ds: deliveryStatus, mask };
const lvtMode = bits(10, 8, "Delivery Mode", {
  values: { 0: "fixed", 2: "SMI", 4: "NMI", 5: "INIT", 7: "ExtINT" },
  illegal: { values: [1, 3, 6], rule: "apic.lvt.delivery-mode" },
});

export const lvtTimer = lvt("apic-lvt-timer", "LVT Timer", {
  ...lvtDelivery,
  mode: bits(18, 17, "Timer Mode", {
    values: { 0: "one-shot", 1: "periodic", 2: "TSC-deadline" },
    illegal: { values: [3], rule: "apic.timer.mode" },
  }),
});

/** LVT of CMCI, thermal sensor and performance counters. */
export const lvtMonitor = lvt("apic-lvt-monitor", "LVT CMCI, Thermal, Performance Counters", {
  ...lvtDelivery,
  dlm: lvtMode,
});

export const lvtPin = lvt("apic-lvt-pin", "LVT LINT0, LINT1", {
  ...lvtDelivery,
  dlm: lvtMode,
  polarity: bit(13, "Pin Polarity", { values: { 0: "active high", 1: "active low" } }),
  remoteirr: bit(14, "Remote IRR"),
  tm: trigger,
});

export const lvtError = lvt("apic-lvt-error", "LVT Error", lvtDelivery);

function lvt<Name extends string>(
  name: string,
  title: string,
  fields: Readonly<Record<Name, Field>>,
): Layout<Name> {
  return layout({ name, title, width: 32, section: cite("sdm", "11.5.1"), reserved, fields });
}

export const timerCount = layout({
  name: "apic-timer-count",
  title: "Timer count",
  width: 32,
  section: cite("sdm", "11.5.4"),
  fields: { count: bits(31, 0, "Count") },
});

export const divideConfiguration = layout({
  name: "apic-tdcr",
  title: "Divide Configuration",
  width: 32,
  section: cite("sdm", "11.5.4"),
  reserved,
  fields: {
    divide: scattered(
      [
        [1, 0],
        [3, 3],
      ],
      "Divide value",
      {
        values: {
          0: "by 2",
          1: "by 4",
          2: "by 8",
          3: "by 16",
          4: "by 32",
          5: "by 64",
          6: "by 128",
          7: "by 1",
        },
      },
    ),
  },
});

export const selfIpi = layout({
  name: "apic-self-ipi",
  title: "Self IPI",
  width: 32,
  section: cite("sdm", "11.12.11"),
  reserved,
  fields: { v: vector },
});

const endOfInterrupt = layout({
  name: "apic-eoi",
  title: "End of Interrupt",
  width: 32,
  section: cite("sdm", "11.8.5"),
  fields: { value: bits(31, 0, "Ignored in xAPIC mode, zero in x2APIC mode") },
});

const requestBits = layout({
  name: "apic-vector-bits",
  title: "One bit for each of 32 vectors",
  width: 32,
  section: cite("sdm", "11.8.4"),
  fields: { vectors: bits(31, 0, "Vectors") },
});

type Access = "ro" | "wo" | "rw";

export interface ApicRegister {
  readonly title: string;
  /** Offset in the xAPIC page; for a group, of its first register. Absent where xAPIC mode has no such register. */
  readonly offset?: number;
  /** MSR in x2APIC mode; absent where that mode has no such register. */
  readonly msr?: number;
  /** How many registers of 32 bits stand 16 bytes, or one MSR, apart. */
  readonly count: number;
  /** Bits of the MSR; the xAPIC form is always 32 bits wide. */
  readonly width: 32 | 64;
  readonly access: Access;
  /** Access in x2APIC mode, where it differs. */
  readonly msrAccess?: Access;
  readonly layout: Layout;
  /** Layout in x2APIC mode, where it differs. */
  readonly msrLayout?: Layout;
  /** Fields that software's writes leave alone. */
  readonly readOnly?: readonly string[];
}

type XapicRegister = ApicRegister & { readonly offset: number };

type RegisterOptions = Partial<Omit<ApicRegister, "title" | "offset" | "access" | "layout">>;

/** A register that stands in both modes, its MSR at 800h + offset / 16. */
function register(
  title: string,
  offset: number,
  access: Access,
  layout: Layout,
  options: RegisterOptions = {},
): XapicRegister {
  return { title, offset, msr: 0x800 + (offset >> 4), count: 1, width: 32, access, layout, ...options };
}

function xapicOnly(title: string, offset: number, access: Access, layout: Layout): XapicRegister {
  return { title, offset, count: 1, width: 32, access, layout };
}

const pinStatus = { readOnly: ["ds", "remoteirr"] } as const;
const status = { readOnly: ["ds"] } as const;

/** The registers of a local APIC (SDM tables of §11.4.1 and §11.12.1.2). */
export const apicRegisters = {
  id: register("Local APIC ID", 0x20, "ro", xapicId, { msrLayout: x2apicId }),
  version: register("Local APIC Version", 0x30, "ro", apicVersion),
  tpr: register("Task Priority", 0x80, "rw", taskPriority),
  apr: xapicOnly("Arbitration Priority", 0x90, "ro", arbitrationPriority),
  ppr: register("Processor Priority", 0xa0, "ro", processorPriority),
  eoi: register("EOI", 0xb0, "wo", endOfInterrupt),
  rrd: xapicOnly("Remote Read", 0xc0, "ro", requestBits),
  ldr: register("Logical Destination", 0xd0, "rw", xapicLogicalDestination, {
    msrAccess: "ro",
    msrLayout: x2apicLogicalDestination,
  }),
  dfr: xapicOnly("Destination Format", 0xe0, "rw", destinationFormat),
  svr: register("Spurious-Interrupt Vector", 0xf0, "rw", spuriousVector),
  isr: register("In-Service", 0x100, "ro", requestBits, { count: 8 }),
  tmr: register("Trigger Mode", 0x180, "ro", requestBits, { count: 8 }),
  irr: register("Interrupt Request", 0x200, "ro", requestBits, { count: 8 }),
  esr: register("Error Status", 0x280, "rw", errorStatus),
  cmci: register("LVT CMCI", 0x2f0, "rw", lvtMonitor, status),
  icr: register("Interrupt Command", 0x300, "rw", interruptCommand, { width: 64, ...status }),
  icrHigh: xapicOnly("Interrupt Command, bits 63:32", 0x310, "rw", xapicId),
  timer: register("LVT Timer", 0x320, "rw", lvtTimer, status),
  thermal: register("LVT Thermal Sensor", 0x330, "rw", lvtMonitor, status),
  performance: register("LVT Performance Counters", 0x340, "rw", lvtMonitor, status),
  lint0: register("LVT LINT0", 0x350, "rw", lvtPin, pinStatus),
  lint1: register("LVT LINT1", 0x360, "rw", lvtPin, pinStatus),
  error: register("LVT Error", 0x370, "rw", lvtError, status),
  initialCount: register("Timer Initial Count", 0x380, "rw", timerCount),
  currentCount: register("Timer Current Count", 0x390, "ro", timerCount),
  divide: register("Timer Divide Configuration", 0x3e0, "rw", divideConfiguration),
  selfIpi: { title: "Self IPI", msr: 0x83f, count: 1, width: 32, access: "wo", layout: selfIpi },
} as const satisfies Record<string, ApicRegister>;

export type ApicRegisterName = keyof typeof apicRegisters;

/** The entries of the local vector table. */
export type LvtName = "cmci" | "timer" | "thermal" | "performance" | "lint0" | "lint1" | "error";

/** What a divide configuration divides the timer's clock by. */
export function divisorOf(configuration: number): number {
  const divide = (configuration & 3) | ((configuration >>> 1) & 4);
  return 1 << ((divide + 1) & 7);
}
