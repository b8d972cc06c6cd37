import type { Fact, Origin } from "../../evidence/host/fact.ts";
import type { LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { HostState } from "../../evidence/host/state.ts";
import type { Irqfd, Vcpu, VirtualMachine } from "../../evidence/host/virtual-machine.ts";
import { DeliveryMode } from "../../hardware/delivery.ts";
import { type CommandLine, readCommandLine } from "../../linux/cmdline/command-line.ts";
import { type PostingRefusal, postingRefusals } from "../../linux/kvm/posting-refusal.ts";
import { within } from "../../hardware/call-stack.ts";
import { extendedFeature } from "../../spec/amdvi/registers.ts";
import * as apicBase from "../../spec/accessors/apic-base.ts";
import * as msiAddress from "../../spec/accessors/msi-address.ts";
import * as msiData from "../../spec/accessors/msi-data.ts";
import { decode, hex } from "../../spec/codec.ts";
import { capability } from "../../spec/vtd/registers.ts";
import type { HostLinks } from "../host/links.ts";
import { inhibitNames } from "./apicv-inhibits.ts";

/** One condition of posting a device's interrupt to a vCPU. */
export interface Condition {
  readonly id: PostingRefusal | "apicv-inhibited";
  /** What has to be so. */
  readonly title: string;
  readonly verdict: "held" | "stops it" | "not known" | "does not apply";
  /** What was looked at, in one clause. */
  readonly detail: string;
  readonly evidence: readonly Origin[];
}

type Finding = readonly [Condition["verdict"], detail: string, ...(Origin | undefined)[]];

/** The bypass of an interrupt: whose irqfd it is bound to. */
interface Bypass {
  readonly machine: VirtualMachine;
  readonly irqfd: Irqfd;
  readonly origin: Origin;
}

/** The VM that an interrupt is bound to through irqbypass; undefined where it is bound to none that is known. */
export function bypassOf(state: HostState, { irq }: LinuxInterrupt): Bypass | undefined {
  for (const machine of state.machines) {
    const irqfd = machine.irqfds?.value.find((one) => one.irq === irq);
    if (irqfd !== undefined) return { machine, irqfd, origin: machine.irqfds!.origin };
  }
  return undefined;
}

const vfioHandler = /^vfio-(msix?|intx)(?:\[\d+\])?\(/;

/** How VFIO has an interrupt; undefined for one that it has not. */
export function vfioKindOf({ actions }: LinuxInterrupt): "msi" | "msix" | "intx" | undefined {
  for (const action of actions?.value ?? []) {
    const kind = vfioHandler.exec(action)?.[1];
    if (kind !== undefined) return kind as "msi" | "msix" | "intx";
  }
  return undefined;
}

/** Every condition of posting an interrupt to a vCPU, in the order in which the kernel comes to them. */
export function postingConditions(links: HostLinks, interrupt: LinuxInterrupt): Condition[] {
  const host = new HostConditions(links);
  const bypass = bypassOf(links.state, interrupt);
  const conditions: (readonly [Condition["id"], string, Finding])[] = [
    ["remapping-off", "the host remaps interrupts", host.remapping()],
    ["posting-off", "posting is not turned off on the command line", host.commandLine()],
    ["posting-not-capable", "every unit and the CPU can post", host.capability()],
    ["apicv-off", "KVM virtualizes APICs with hardware's help", host.apicv()],
    ["device-posting-off", "KVM may post devices' interrupts", host.devicePosting()],
    ["irqchip-in-userspace", "the VM's local APICs are KVM's", irqchip(links.state, bypass?.machine)],
    [
      "no-producer",
      "VFIO's interrupt and an irqfd have the same eventfd",
      producer(links.state, interrupt, bypass),
    ],
    ["no-msi-route", "the irqfd's GSI has an MSI route", route(bypass)],
    ["delivery-mode", "the guest's message is fixed or lowest priority", delivery(bypass)],
    ["several-vcpus", "the guest's message addresses one vCPU", single(bypass)],
    [
      "apicv-inhibited",
      "nothing inhibits the vCPU's hardware APIC",
      inhibited(links.state, host.vendor, bypass),
    ],
  ];
  return conditions.map(([id, title, [verdict, detail, ...evidence]]) => ({
    id,
    title,
    verdict,
    detail,
    evidence: evidence.filter((origin) => origin !== undefined),
  }));
}

/** Those conditions that hold for the whole host. */
class HostConditions {
  readonly #links: HostLinks;
  readonly #state: HostState;
  readonly #line: CommandLine | undefined;

  constructor(links: HostLinks) {
    this.#links = links;
    this.#state = links.state;
    const { commandLine, release } = links.state.system;
    this.#line =
      commandLine === undefined || release === undefined
        ? undefined
        : readCommandLine(commandLine.value, release.value);
  }

  get vendor(): "intel" | "amd" | undefined {
    return this.#state.units[0]?.vendor ?? this.#state.system.vendor?.value;
  }

  remapping(): Finding {
    const { units } = this.#state;
    if (units.length === 0) return ["not known", "no remapping unit is known"];
    const facts = units.map((unit) => ({ unit, on: this.#links.remappingOn(unit) }));
    const off = facts.find(({ on }) => on?.value === false);
    if (off !== undefined) {
      return ["stops it", `${postingRefusals["remapping-off"]}: ${off.unit.name}`, off.on!.origin];
    }
    const open = facts.find(({ on }) => on === undefined);
    if (open !== undefined) return ["not known", `whether ${open.unit.name} remaps is not known`];
    return ["held", units.map(({ name }) => name).join(", "), ...facts.map(({ on }) => on!.origin)];
  }

  commandLine(): Finding {
    const line = this.#line;
    if (line === undefined) return ["not known", "the command line, or the kernel's release, was not read"];
    const { origin } = this.#state.system.commandLine!;
    if (line.flags["disable_irq_post"] === true) return ["stops it", postingRefusals["posting-off"], origin];
    if (this.vendor === "amd" && line.flags["amd_iommu_guest_ir"] === "AMD_IOMMU_GUEST_IR_LEGACY_GA") {
      return ["stops it", "amd_iommu_intr=legacy: no entries in guest mode", origin];
    }
    return ["held", "neither nopost nor off in intremap=", origin];
  }

  capability(): Finding {
    const { flags } = this.#state.system;
    if (flags?.value.has("cx16") === false) return ["stops it", "the CPU has no CMPXCHG16B", flags.origin];
    const open: string[] = flags === undefined ? ["CPU flags"] : [];
    const evidence: (Origin | undefined)[] = [flags?.origin];
    for (const unit of this.#state.units) {
      const fact = unit.vendor === "intel" ? (unit.capability ?? unit.registers.get("CAP")) : unit.features;
      const name = unit.vendor === "intel" ? "CAP.PI" : "GASup and GAMSup";
      if (fact === undefined) {
        open.push(`${name} of ${unit.name}`);
        continue;
      }
      evidence.push(fact.origin);
      if (!canPost(unit.vendor, fact.value)) return ["stops it", `${name} of ${unit.name} is 0`, fact.origin];
    }
    if (this.#state.units.length === 0) open.push("remapping units");
    if (open.length > 0) return ["not known", `not read: ${open.join(", ")}`, ...evidence];
    return ["held", `CMPXCHG16B, and all of ${this.#state.units.length} units`, ...evidence];
  }

  apicv(): Finding {
    const names = { intel: "kvm_intel.enable_apicv", amd: "kvm_amd.avic" } as const;
    const { vendor } = this;
    if (vendor === undefined) return ["not known", "the processors' vendor is not known"];
    const name = names[vendor];
    const release = this.#state.system.release?.value;
    const usual =
      vendor === "amd" && (release === undefined || within(release, { below: "6.18" }))
        ? " (off unless told, before 6.18)"
        : vendor === "amd"
          ? " (on from Zen 4 on, unless told)"
          : "";
    return this.#parameter(name, postingRefusals["apicv-off"], usual);
  }

  devicePosting(): Finding {
    const release = this.#state.system.release;
    if (release !== undefined && within(release.value, { below: "6.16" })) {
      return ["does not apply", "KVM has this parameter since 6.16", release.origin];
    }
    const module = this.vendor === "amd" ? "kvm_amd" : "kvm_intel";
    return this.#parameter(`${module}.enable_device_posted_irqs`, postingRefusals["device-posting-off"], "");
  }

  #parameter(name: string, off: string, usual: string): Finding {
    const fact = this.#state.system.parameters.get(name);
    if (fact !== undefined) {
      const value = truth(fact.value);
      if (value === undefined) return ["not known", `${name}=${fact.value}`, fact.origin];
      return value
        ? ["held", `${name}=${fact.value}`, fact.origin]
        : ["stops it", `${name}=${fact.value}: ${off}`, fact.origin];
    }
    const told = this.#line?.flags[name];
    const { commandLine } = this.#state.system;
    if (told === false)
      return ["stops it", `${name} is off on the command line: ${off}`, commandLine!.origin];
    return ["not known", `${name} was not read${usual}`];
  }
}

function canPost(vendor: "intel" | "amd", value: bigint): boolean {
  if (vendor === "intel") return decode(capability, value).pi === 1;
  const { gasup, gamsup } = decode(extendedFeature, value);
  return gasup === 1 && gamsup !== 0;
}

/** A truth value of a module parameter, as sysfs prints it; undefined for `-1`, which stands for a choice of KVM's. */
function truth(text: string): boolean | undefined {
  if (/^[Y1]$/.test(text.trim())) return true;
  return /^[N0]$/.test(text.trim()) ? false : undefined;
}

function bits({ inhibited: fact }: VirtualMachine, release: Fact<string> | undefined): string[] | undefined {
  return fact === undefined ? undefined : inhibitNames(fact.value, release?.value);
}

function irqchip({ machines }: HostState, machine: VirtualMachine | undefined): Finding {
  if (machine === undefined) {
    return ["not known", machines.length === 0 ? "no VM was read" : "which VM it is for is not known"];
  }
  const { name, irqfds } = machine;
  if (machine.irqchip?.value === "none") {
    return ["stops it", postingRefusals["irqchip-in-userspace"], machine.irqchip.origin];
  }
  if (machine.irqchip !== undefined)
    return ["held", `VM ${name}: ${machine.irqchip.value}`, machine.irqchip.origin];
  if (irqfds !== undefined) return ["held", `VM ${name} takes irqfds`, irqfds.origin];
  return ["not known", "KVM's state was not read"];
}

function producer(state: HostState, interrupt: LinuxInterrupt, bypass: Bypass | undefined): Finding {
  if (vfioKindOf(interrupt) === "intx") {
    return ["stops it", "INTx is not handed on through irqbypass", interrupt.actions?.origin];
  }
  if (bypass !== undefined) {
    const { irqfd, machine, origin } = bypass;
    return ["held", `irq ${interrupt.irq} and GSI ${irqfd.gsi} of VM ${machine.name}`, origin];
  }
  const { machines, producers } = state;
  const known = producers?.value.find(({ irq }) => irq === interrupt.irq);
  if (producers !== undefined && known === undefined) {
    return [
      "stops it",
      "irqbypass does not know the irq: its eventfd was taken (-EBUSY), or VFIO has not registered it",
      producers.origin,
    ];
  }
  const none =
    "no irqfd has its eventfd: the VMM signals it itself, as it does for a vector that the guest has masked";
  if (known?.connected === false) return ["stops it", none, producers!.origin];
  const open = machines.length === 0 || machines.some(({ irqfds }) => irqfds === undefined);
  if (open) return ["not known", "the irqfds of VMs were not read"];
  return ["stops it", none, ...machines.map(({ irqfds }) => irqfds!.origin)];
}

function route(bypass: Bypass | undefined): Finding {
  if (bypass === undefined) return ["not known", "its irqfd is not known"];
  const { irqfd, origin } = bypass;
  if (irqfd.message === null) return ["stops it", postingRefusals["no-msi-route"], origin];
  const { address, data } = irqfd.message;
  return ["held", `GSI ${irqfd.gsi}: addr ${hex(address)}, data ${hex(data)}`, origin];
}

function delivery(bypass: Bypass | undefined): Finding {
  const message = bypass?.irqfd.message;
  if (bypass === undefined || message === null || message === undefined)
    return ["not known", "the guest's message is not known"];
  const mode = msiData.dlm(message.data | 0);
  const fits = mode === DeliveryMode.fixed || mode === DeliveryMode.lowestPriority;
  return fits
    ? ["held", `delivery mode ${mode}`, bypass.origin]
    : ["stops it", `delivery mode ${mode}: ${postingRefusals["delivery-mode"]}`, bypass.origin];
}

/** Whom the guest's message addresses, as far as the APICs of its vCPUs are known. */
function single(bypass: Bypass | undefined): Finding {
  const message = bypass?.irqfd.message;
  if (bypass === undefined || message === null || message === undefined) {
    return ["not known", "the guest's message is not known"];
  }
  const { origin } = bypass;
  const { vcpus } = bypass.machine;
  const low = Number(BigInt.asIntN(32, message.address));
  const destination = ((Number(message.address >> 40n) << 8) | msiAddress.dstOf(low)) >>> 0;
  const logical = msiAddress.dmOf(low) === 1;
  const name = `${logical ? "logical" : "physical"} destination ${hex(destination)}`;
  const answers = vcpus.map((vcpu) => ({ vcpu, takes: matches(vcpu, destination, logical) }));
  const takers = answers.filter(({ takes }) => takes === true);
  if (answers.some(({ takes }) => takes === undefined)) {
    return ["not known", `${name}: not all APIC ids of the guest are known`, origin];
  }
  const text = takers.map(({ vcpu }) => `vCPU ${vcpu.id}`).join(", ");
  const evidence = [origin, ...takers.slice(0, 4).map(({ vcpu }) => vcpu.apicId?.origin)];
  if (takers.length === 1) return ["held", `${name}: ${text}`, ...evidence];
  if (takers.length === 0) return ["stops it", `${name}: ${postingRefusals["no-vcpu"]}`, origin];
  // A hint or lowest priority leaves one of them, by its vector (kvm.apic.vector-hash).
  const chosen = msiAddress.rhOf(low) === 1 || msiData.dlm(message.data | 0) === DeliveryMode.lowestPriority;
  if (logical && chosen) return ["held", `${name}: one of ${text}`, ...evidence];
  return ["stops it", `${name}: ${postingRefusals["several-vcpus"]}: ${text}`, ...evidence];
}

/** Whether a vCPU's APIC answers to a destination; undefined where that is not known. */
function matches(vcpu: Vcpu, destination: number, logical: boolean): boolean | undefined {
  if (destination === 0xff || destination === 0xffff_ffff) return true;
  const id = vcpu.apicId?.value;
  if (!logical) return id === undefined ? undefined : id === destination;
  const base = vcpu.apicBase?.value;
  if (base === undefined) return undefined;
  if (apicBase.extdOf(Number(BigInt.asIntN(32, base))) === 1) {
    if (id === undefined) return undefined;
    const ldr = ((id >>> 4) << 16) | (1 << (id & 15));
    return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0;
  }
  const ldr = vcpu.logicalDestination?.value;
  const model = vcpu.destinationFormat?.value;
  if (ldr === undefined || model === undefined) return undefined;
  const own = ldr >>> 24;
  if (model >>> 28 === 15) return (own & destination & 0xff) !== 0;
  return own >>> 4 === destination >>> 4 && (own & destination & 0xf) !== 0;
}

function inhibited(
  { system }: HostState,
  vendor: "intel" | "amd" | undefined,
  bypass: Bypass | undefined,
): Finding {
  if (bypass === undefined) return ["not known", "which VM it is for is not known"];
  const { machine } = bypass;
  const fact = machine.inhibited;
  const names = bits(machine, system.release);
  if (fact === undefined || names === undefined)
    return ["not known", "KVM's apicv_inhibit_reasons was not read"];
  if (names.length === 0) return ["held", "no reason is set", fact.origin];
  const text = names.join(", ");
  if (vendor === "intel")
    return ["held", `${text}: VMX posts all the same, and KVM injects from PIR`, fact.origin];
  return ["stops it", `inhibited: ${text}`, fact.origin];
}
