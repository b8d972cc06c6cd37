import { cite } from "../cite.ts";
import { bit, bits, layout } from "../layout.ts";

/** Byte offsets of the registers that all timers share. */
export const hpetOffset = { capabilities: 0x00, configuration: 0x10, status: 0x20, counter: 0xf0 } as const;

/** Byte offsets of a timer's registers; the next timer's lie `stride` further. */
export const hpetTimerOffset = {
  first: 0x100,
  stride: 0x20,
  configuration: 0x00,
  comparator: 0x08,
  /** FSB_INT_VAL; FSB_INT_ADDR is the dword behind it. */
  route: 0x10,
} as const;

export const hpetCapabilities = layout({
  name: "hpet-capabilities",
  title: "HPET General Capabilities and ID",
  width: 64,
  section: cite("hpet", "2.3.4"),
  fields: {
    rev: bits(7, 0, "Revision"),
    last: bits(12, 8, "Number of the last timer"),
    size: bit(13, "Main counter is 64 bits wide"),
    legacy: bit(15, "Can replace legacy interrupts"),
    vendor: bits(31, 16, "Vendor"),
    period: bits(63, 32, "Main counter period in femtoseconds"),
  },
});

export const hpetConfiguration = layout({
  name: "hpet-configuration",
  title: "HPET General Configuration",
  width: 32,
  section: cite("hpet", "2.3.5"),
  fields: { enable: bit(0, "Counter runs, interrupts allowed"), legacy: bit(1, "Replace legacy interrupts") },
});

/** Bits 31:0 of a timer's register of 64. */
export const hpetTimerConfiguration = layout({
  name: "hpet-timer-configuration",
  title: "HPET Timer Configuration and Capability",
  width: 32,
  section: cite("hpet", "2.3.8"),
  fields: {
    type: bit(1, "Interrupt type", { values: { 0: "edge", 1: "level" } }),
    int: bit(2, "Interrupt enabled"),
    periodic: bit(3, "Periodic"),
    percap: bit(4, "Can be periodic"),
    sizecap: bit(5, "Timer is 64 bits wide"),
    valset: bit(6, "Value set"),
    narrow: bit(8, "Works with 32 bits"),
    route: bits(13, 9, "I/O APIC pin"),
    fsb: bit(14, "Interrupts are messages"),
    fsbcap: bit(15, "Can send messages"),
  },
});
