import type { Irqfd, VirtualMachine } from "../../../evidence/host/virtual-machine.ts";
import { decode } from "../../../spec/codec.ts";
import { capability } from "../../../spec/vtd/registers.ts";
import { type Evidence, check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import { shows } from "../look.ts";
import { entryName } from "../naming.ts";
import { knowsMachines } from "./machines.ts";

/** What keeps a host from posting any interrupt of a guest's; empty where nothing that is known does. */
function obstacles({ state, effects, vtdUnits }: AuditedHost): Evidence[] {
  const found: Evidence[] = [];
  const { parameters, commandLine, flags } = state.system;
  if (commandLine !== undefined && effects?.posting.on === false)
    found.push(shows(commandLine, effects.posting.why));
  for (const { name, capability: cap } of vtdUnits) {
    if (cap !== undefined && decode(capability, cap.value).pi === 0)
      found.push(shows(cap, `${name} cannot post: CAP.PI is 0`));
  }
  for (const name of [
    "kvm_intel.enable_apicv",
    "kvm_amd.avic",
    "kvm_intel.enable_device_posted_irqs",
    "kvm_amd.enable_device_posted_irqs",
  ]) {
    const value = parameters.get(name);
    if (value !== undefined && /^[Nn0]/.test(value.value))
      found.push(shows(value, `${name} is ${value.value.trim()}`));
  }
  if (flags !== undefined && !flags.value.has("cx16"))
    found.push(shows(flags, "the processors have no cx16"));
  return found;
}

function machineObstacles({ inhibited }: VirtualMachine): Evidence[] {
  return inhibited === undefined || inhibited.value === 0n
    ? []
    : [shows(inhibited, `APICv is inhibited for the machine: reasons 0x${inhibited.value.toString(16)}`)];
}

function routeObstacles({ message }: Irqfd, origin: Evidence["origin"]): Evidence[] {
  if (message === null) return [{ what: "the guest's route is no MSI", origin }];
  const mode = (message.data >>> 8) & 7;
  return mode > 1
    ? [{ what: `the guest's message has delivery mode ${mode}, neither fixed nor lowest priority`, origin }]
    : [];
}

export const notPosted = check({
  rule: "linux.kvm.not-posted",
  severity: "info",
  vendor: null,
  looksAt: "interrupts of passed-through functions (irqfds with a host irq), and their entries",
  why: "The host takes each of these interrupts and injects it: some microseconds, and an exit of the vCPU, apiece.",
  fix: "Remove what stands in the way, if it can be; intremap follow irq N says which condition stops a vector.",
  find(host, look) {
    const { state, links } = host;
    if (!knowsMachines(state)) return look.lacks("virtual machines and their irqfds");
    const general = obstacles(host);
    for (const machine of state.machines) {
      if (machine.irqfds === undefined) {
        look.lacks(`irqfds of ${machine.name}`);
        continue;
      }
      for (const irqfd of machine.irqfds.value) {
        const irq = state.interrupts.find((one) => one.irq === irqfd.irq);
        if (irqfd.irq === null || irq === undefined) continue;
        const entry = links.entryOf(irq);
        const posted = irq.posts === undefined ? entry?.mode !== "remapped" : irq.posts.value === "vcpu";
        if (irq.posts === undefined && entry === undefined) {
          look.lacks(`the entry of irq ${irq.irq}`);
          continue;
        }
        look.at();
        if (posted) continue;
        const { origin } = machine.irqfds;
        look.add({
          subject: { kind: "interrupt", name: `irq ${irq.irq}` },
          title: `irq ${irq.irq}, GSI ${irqfd.gsi} of ${machine.name}, is not posted.`,
          evidence: [
            { what: `irqfd for GSI ${irqfd.gsi} of ${machine.name} takes irq ${irq.irq}`, origin },
            ...(entry === undefined
              ? []
              : [{ what: `${entryName(entry)} is ${entry.mode}`, origin: entry.origin }]),
            ...(irq.posts === undefined
              ? []
              : [shows(irq.posts, `the kernel has it post to ${irq.posts.value}`)]),
            ...general,
            ...machineObstacles(machine),
            ...routeObstacles(irqfd, origin),
          ],
        });
      }
    }
  },
});
