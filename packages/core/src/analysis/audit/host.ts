import { printFunction } from "../../spec/requester.ts";
import type { BootMessage } from "../../evidence/boot-message.ts";
import type { PciDevice } from "../../evidence/host/device.ts";
import type { Origin } from "../../evidence/host/fact.ts";
import type { HostState } from "../../evidence/host/state.ts";
import type { AmdviUnitState, VtdUnitState } from "../../evidence/host/unit.ts";
import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import { type CommandLine, readCommandLine } from "../../linux/cmdline/command-line.ts";
import { type CommandLineEffects, effectsOf } from "../../linux/cmdline/effects.ts";
import type { HostLinks } from "../host/links.ts";
import type { Evidence } from "./check.ts";
import { type Claim, claimsOf } from "./claims.ts";
import { lineOf, releaseOf } from "./naming.ts";
import { remappingOf } from "./remapping.ts";

/** A host under audit: what is known of it, what belongs to what, and what several checks ask. */
export class AuditedHost {
  readonly state: HostState;
  readonly links: HostLinks;
  /** Of its IOMMUs; null where nothing tells. */
  readonly vendor: Vendor | null;
  /** Whether interrupts are remapped; undefined where nothing tells. */
  readonly remapping: { readonly on: boolean; readonly evidence: readonly Evidence[] } | undefined;
  #claims: readonly Claim[] | undefined;
  readonly commandLine: CommandLine | undefined;
  readonly effects: CommandLineEffects | undefined;

  constructor(state: HostState, links: HostLinks) {
    this.state = state;
    this.links = links;
    this.vendor = vendorOf(state);
    const { commandLine, release } = state.system;
    if (commandLine !== undefined) {
      const version = release === undefined ? "7.0" : (releaseOf(release.value) ?? "7.0");
      this.commandLine = readCommandLine(commandLine.value, version);
      this.effects = effectsOf(this.commandLine, version, this.vendor ?? "intel");
    }
    this.remapping = remappingOf(this);
  }

  /** What goes through entries. */
  get claims(): readonly Claim[] {
    return (this.#claims ??= claimsOf(this.links));
  }

  get vtdUnits(): readonly VtdUnitState[] {
    return this.state.units.filter((unit) => unit.vendor === "intel");
  }

  get amdviUnits(): readonly AmdviUnitState[] {
    return this.state.units.filter((unit) => unit.vendor === "amd");
  }

  /** What the kernel log says of how remapping came up, of one kind; the origins name the line. */
  says(what: BootMessage["says"]): readonly { readonly text: string; readonly origin: Origin }[] {
    const { log } = this.state;
    if (log === undefined) return [];
    return log.value
      .filter((record) => record.kind === "boot-message" && record.says === what)
      .map((record) => ({ text: (record as BootMessage).text, origin: lineOf(log.origin, record.line) }));
  }

  /** Whether functions are handed to users: devices bound to a VFIO driver, and interrupts that VFIO requested. */
  get vfio(): { readonly devices: readonly PciDevice[]; readonly evidence: readonly Evidence[] } {
    const devices = this.state.devices.filter(
      ({ driver }) => driver !== undefined && /vfio/.test(driver.value),
    );
    const evidence = devices.map((device) => ({
      what: `${printFunction(device)} is bound to ${device.driver!.value}`,
      origin: device.driver!.origin,
    }));
    for (const { irq, actions } of this.state.interrupts) {
      if (actions?.value.some((name) => name.startsWith("vfio-")))
        evidence.push({ what: `irq ${irq} is ${actions.value.join(", ")}`, origin: actions.origin });
    }
    return { devices, evidence };
  }
}

/** The IOMMUs tell; without them the firmware's tables, and then the processors. */
function vendorOf({ units, firmware, system }: HostState): Vendor | null {
  const unit = units[0];
  if (unit !== undefined) return unit.vendor;
  if (firmware.dmar !== undefined) return "intel";
  if (firmware.ivrs !== undefined) return "amd";
  return system.vendor?.value ?? null;
}
