import type { Matcher } from "./log-line.ts";

/** A message by which Linux says how interrupt remapping came up. */
export interface BootMessage {
  readonly kind: "boot-message";
  readonly line: number;
  readonly says:
    | "enabled"
    | "not-enabled"
    | "unscoped-ioapic"
    | "not-in-ivrs"
    | "chipset-erratum"
    | "x2apic-opt-out"
    | "interrupt-cache-disabled"
    | "guest-mode-forced-off"
    | "remapping-found-on"
    | "detail";
  /** The message itself, without its prefixes. */
  readonly text: string;
}

function matcher(says: BootMessage["says"], probe: string, pattern: RegExp): Matcher<BootMessage> {
  return {
    probe,
    pattern,
    read: (match, line) => ({ kind: "boot-message", line: line.number, says, text: match[0].trim() }),
  };
}

export const bootMatchers: readonly Matcher<BootMessage>[] = [
  matcher("enabled", "Enabled IRQ remapping", /Enabled IRQ remapping in x2?apic mode/g),
  matcher("enabled", "Interrupt remapping enabled", /Interrupt remapping enabled/g),
  matcher("not-enabled", "enabl", /Not enabl(?:e|ing) interrupt remapping|Failed to enable irq remapping/gi),
  matcher("unscoped-ioapic", "has no mapping iommu", /ioapic \d{1,3} has no mapping iommu/gi),
  matcher("not-in-ivrs", "not in IVRS table", /IOAPIC\[\d{1,3}\] not in IVRS table/gi),
  matcher(
    "chipset-erratum",
    "chipset that contains an erratum",
    /chipset that contains an erratum making that[\w\s]{0,60}/g,
  ),
  matcher("x2apic-opt-out", "x2apic opt out bit", /x2apic is disabled because BIOS sets x2apic opt out bit/g),
  matcher("interrupt-cache-disabled", "IRT cache is disabled", /IRT cache is disabled/g),
  matcher("guest-mode-forced-off", "Virtual APIC due to SNP", /Force to disable Virtual APIC due to SNP/g),
  matcher(
    "remapping-found-on",
    "in kdump mode",
    /IRQ remapping was enabled on \S{1,32} but we are not in kdump mode/g,
  ),
  matcher("remapping-found-on", "Copied IR table", /Copied IR table for \S{1,32} from previous kernel/g),
  matcher("detail", "under DRHD base", /(?:IOAPIC|HPET) id \d{1,3} under DRHD base/g),
  matcher("detail", "Queued invalidation will be", /Queued invalidation will be enabled/g),
  matcher("detail", "no_x2apic_optout", /Use 'intremap=no_x2apic_optout' to override/g),
  matcher("detail", "X2APIC mode", /IRQ remapping doesn't support X2APIC mode/g),
  matcher("detail", "x2apic enabled", /x2apic enabled/g),
  matcher("detail", "Switched APIC routing", /Switched APIC routing to [\w ]{1,40}/g),
  matcher("detail", "reg_base_addr", /reg_base_addr [0-9a-f]{1,16} ver \d{1,3}:\d{1,3} cap [0-9a-f]{1,16}/g),
  matcher("detail", "DRHD base: ", /DRHD base: 0x[0-9a-f]{1,16} flags: /gi),
  matcher("detail", "Host address width", /Host address width \d{1,3}/g),
  matcher("detail", "Extended features", /AMD-Vi: Extended features \(?0x[0-9a-f]{1,16}/g),
  matcher("detail", "APIC enabled", /(?:X2APIC|Virtual APIC) enabled/g),
  matcher("detail", "DEV_SPECIAL(", /DEV_SPECIAL\((?:IOAPIC|HPET)\d?\[\d{1,3}\]\)/g),
  matcher(
    "detail",
    "Error (",
    /Invalidation (?:Queue|Time-out|Completion) Error \((?:IQE|ITE|ICE)\) cleared/g,
  ),
  matcher("detail", "Control Reg", /Control Reg : 0x[0-9a-f]{1,16}/g),
  matcher("detail", "Event logged [", /AMD-Vi: Event logged \[\s{0,8}$/g),
];
