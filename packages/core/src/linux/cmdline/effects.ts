import { within } from "../../hardware/call-stack.ts";
import type { CommandLine, Taken } from "./command-line.ts";
import type { Flag } from "./flags.ts";

export type Vendor = "intel" | "amd";

/** Whether something is in effect, and by what. */
export interface Effect {
  readonly on: boolean;
  /** One clause. */
  readonly why: string;
}

/** What a command line comes to on hardware that can do everything. */
export interface CommandLineEffects {
  readonly remapping: Effect;
  readonly posting: Effect;
  readonly sourceIdChecking: Effect;
  /** The firmware's wish to stay out of x2APIC mode is honoured. */
  readonly x2apicOptOut: Effect;
  readonly postedMsi: Effect;
}

export function effectsOf(line: CommandLine, release: string, vendor: Vendor): CommandLineEffects {
  const remapping = remappingOf(line, vendor);
  const posting = postingOf(line, release, vendor, remapping);
  return {
    remapping,
    posting,
    sourceIdChecking: sourceIdCheckingOf(line, vendor, remapping),
    x2apicOptOut: x2apicOptOutOf(line),
    postedMsi: postedMsiOf(line, release, vendor, posting),
  };
}

function remappingOf(line: CommandLine, vendor: Vendor): Effect {
  const { flags } = line;
  if (flags["disable_irq_remap"] === true) return off(causeOf(line, "disable_irq_remap"));
  if (flags["skip_ioapic_setup"] === true)
    return off("noapic: without I/O APIC setup the kernel does not try");
  const dmaOff = causes(
    line,
    vendor === "intel" ? ["dmar_disabled", "no_iommu"] : ["amd_iommu_disabled", "no_iommu"],
  );
  if (vendor === "amd" && dmaOff !== null)
    return off(`${dmaOff}: the AMD driver does not start, and remapping is a part of it`);
  if (vendor === "intel" && dmaOff !== null)
    return on(`${dmaOff} turns DMA translation off; the VT-d driver remaps interrupts all the same`);
  return on(explicit(line, "disable_irq_remap") ?? "the default");
}

function postingOf(line: CommandLine, release: string, vendor: Vendor, remapping: Effect): Effect {
  const first = vendor === "intel" ? "4.4" : "4.9";
  if (!within(release, { from: first }))
    return off(`Linux posts interrupts of this vendor's IOMMU from ${first} on`);
  if (!remapping.on) return off("posting needs remapping");
  if (line.flags["disable_irq_post"] === true) return off(causeOf(line, "disable_irq_post"));
  if (vendor === "amd" && line.flags["amd_iommu_guest_ir"] === "AMD_IOMMU_GUEST_IR_LEGACY_GA")
    return off(`${causeOf(line, "amd_iommu_guest_ir")}: no entries in guest mode`);
  return on(explicit(line, "disable_irq_post") ?? "the default");
}

function sourceIdCheckingOf(line: CommandLine, vendor: Vendor, remapping: Effect): Effect {
  const asked = line.flags["disable_sourceid_checking"] === true;
  if (vendor === "amd") {
    const why = "an AMD IOMMU takes the requester's own table";
    return on(asked ? `${why}; ${causeOf(line, "disable_sourceid_checking")} is for VT-d` : why);
  }
  if (asked) return off(`${causeOf(line, "disable_sourceid_checking")}: SVT is 0 in every entry`);
  return on(remapping.on ? "the default" : "the default, for when interrupts are remapped");
}

function x2apicOptOutOf(line: CommandLine): Effect {
  return line.flags["no_x2apic_optout"] === true ? off(causeOf(line, "no_x2apic_optout")) : on("the default");
}

function postedMsiOf(line: CommandLine, release: string, vendor: Vendor, posting: Effect): Effect {
  if (!within(release, { from: "6.10" })) return off("Linux has it from 6.10 on");
  if (line.flags["enable_posted_msi"] !== true) return off("the default");
  if (vendor === "amd") return off("only the VT-d driver posts interrupts of the host");
  const cause = causeOf(line, "enable_posted_msi");
  return posting.on ? on(cause) : off(`${cause} needs posting, which is off`);
}

function on(why: string): Effect {
  return { on: true, why };
}

function off(why: string): Effect {
  return { on: false, why };
}

/** The first of those variables that is set, by what set it. */
function causes(line: CommandLine, flags: readonly string[]): string | null {
  const flag = flags.find((name) => line.flags[name] === true);
  return flag === undefined ? null : causeOf(line, flag);
}

/** What gave a variable the value that it has. */
function causeOf(line: CommandLine, flag: string): string {
  return print(setterOf(line, flag, line.flags[flag]!)!);
}

/** What put a variable back to false, where something did. */
function explicit(line: CommandLine, flag: string): string | null {
  const setter = setterOf(line, flag, false);
  return setter === undefined ? null : print(setter);
}

function setterOf({ taken }: CommandLine, flag: string, value: Flag): Taken | undefined {
  return taken.findLast(({ sets }) => sets[flag] === value);
}

function print({ parameter, item }: Taken): string {
  return item === null ? parameter : `${parameter}=${item}`;
}
