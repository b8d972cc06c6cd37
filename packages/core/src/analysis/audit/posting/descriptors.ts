import type { PostedDescriptor } from "../../../evidence/host/virtual-machine.ts";
import type { UnitState } from "../../../evidence/host/unit.ts";
import { decode, hex, validate } from "../../../spec/codec.ts";
import { postedDescriptor } from "../../../spec/vtd/irte.ts";
import { capability } from "../../../spec/vtd/registers.ts";
import { check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import { type Look, shows } from "../look.ts";
import { entryEvidence, entryName, entrySubject } from "../naming.ts";
import { knowsMachines } from "./machines.ts";
import { capital } from "../entries/content.ts";
import { presentEntries } from "../entries/present.ts";

const vectors = { running: 0xf2, halted: 0xf1, host: 0xeb } as const;

function ownerName({ owner }: PostedDescriptor): string {
  const { value } = owner;
  return value.kind === "cpu" ? `CPU ${value.cpu}` : `vCPU ${value.vcpu} of ${value.machine}`;
}

function subjectOf(descriptor: PostedDescriptor): { kind: "descriptor"; name: string } {
  return { kind: "descriptor", name: `the descriptor of ${ownerName(descriptor)}` };
}

/** Descriptors whose content was read. */
function readDescriptors(
  { state }: AuditedHost,
  look: Look,
): readonly (PostedDescriptor & Required<Pick<PostedDescriptor, "value">>)[] {
  if (!knowsMachines(state)) look.lacks("virtual machines and their posted-interrupt descriptors");
  return state.descriptors.filter(
    (descriptor): descriptor is typeof descriptor & Required<typeof descriptor> => {
      if (descriptor.value === undefined)
        look.lacks(`the content of the descriptor of ${ownerName(descriptor)}`);
      return descriptor.value !== undefined;
    },
  );
}

/** On such a unit a posted entry is illegal, and blocked: vtd.irte.mode-unsupported. */
function cannotPost(unit: UnitState): boolean {
  return (
    unit.vendor === "intel" &&
    unit.capability !== undefined &&
    decode(capability, unit.capability.value).pi === 0
  );
}

export const unknownDescriptors = check({
  rule: "audit.post.live-descriptor",
  severity: "high",
  vendor: null,
  looksAt:
    "descriptor addresses of posted entries, backing pages of guest-mode ones, against vCPUs and processors",
  why: "Each such interrupt sets bits in memory that is no descriptor of a live vCPU: the guest does not get it, and whoever has the memory now is overwritten.",
  fix: "Stop the machine whose device it is and unbind the device; a kernel that leaves such an entry behind is to be reported.",
  find(host, look) {
    for (const entry of presentEntries(host, look)) {
      if (entry.mode === "remapped" || cannotPost(entry.unit)) continue;
      if (!knowsMachines(host.state)) {
        look.lacks("virtual machines and their posted-interrupt descriptors");
        continue;
      }
      const address = entry.descriptor ?? entry.guest?.root;
      // A guest-mode entry whose page is known only by its tag cannot be held against anything.
      if (
        entry.guest !== null &&
        !host.state.machines.some(({ vcpus }) => vcpus.some((vcpu) => vcpu.descriptor))
      ) {
        look.lacks("vAPIC backing pages of vCPUs");
        continue;
      }
      look.at();
      const owner = host.links.posteeOf(entry);
      const gone = owner?.owner.kind === "vcpu" && owner.vcpu === undefined && owner.machine === undefined;
      if (owner !== undefined && !gone) continue;
      look.add({
        subject: entrySubject(entry),
        title: `${capital(entryName(entry))} posts to ${hex(address!)}, which is no live vCPU's.`,
        evidence: [
          entryEvidence(entry),
          ...(owner === undefined
            ? []
            : [{ what: "its owner is not among the machines", origin: owner.origin }]),
        ],
      });
    }
  },
});

export const misplacedDescriptors = check({
  rule: "audit.post.alignment",
  severity: "high",
  vendor: "intel",
  looksAt: "addresses of posted-interrupt descriptors",
  why: "An entry has no room for the low six address bits: what is posted lands before the descriptor.",
  fix: "Report it: KVM aligns its descriptors.",
  find(host, look) {
    if (!knowsMachines(host.state)) look.lacks("virtual machines and their posted-interrupt descriptors");
    for (const descriptor of host.state.descriptors) {
      look.at();
      if (descriptor.address % 64n === 0n) continue;
      look.add({
        subject: subjectOf(descriptor),
        title: `${capital(subjectOf(descriptor).name)} is at ${hex(descriptor.address)}, which is no multiple of 64.`,
        evidence: [shows(descriptor.owner, `it is at ${hex(descriptor.address)}`)],
      });
    }
  },
});

export const illegalDescriptors = check({
  rule: "vtd.post.descriptor-reserved",
  also: ["vtd.pid.reserved", "vtd.pid.xapic-destination"],
  severity: "high",
  vendor: "intel",
  looksAt: "reserved bits of posted-interrupt descriptors",
  why: "The unit blocks every interrupt that is posted there, with fault reason 28h.",
  fix: "The memory was overwritten, or the descriptor moved: stop the machine and report it.",
  find(host, look) {
    const extended = host.vtdUnits.map((unit) => host.links.extendedMode(unit)?.value);
    const eime =
      extended.length === 0 || extended.includes(undefined) ? undefined : extended.every(Boolean) ? 1 : 0;
    for (const descriptor of readDescriptors(host, look)) {
      look.at();
      for (const { rule, found, when } of validate(
        postedDescriptor,
        descriptor.value.value,
        eime === undefined ? {} : { eime },
      )) {
        if (when !== undefined) continue;
        look.add({
          rule,
          subject: subjectOf(descriptor),
          title: `${capital(subjectOf(descriptor).name)} is illegal: ${found}.`,
          evidence: [shows(descriptor.value, `it is ${hex(descriptor.value.value)}`)],
        });
      }
    }
  },
});

export const wrongNotification = check({
  rule: "audit.post.vector",
  severity: "high",
  vendor: "intel",
  looksAt: "notification vectors of posted-interrupt descriptors",
  why: "The notification arrives as another interrupt: the vCPU is not told, or does not wake up.",
  fix: "The memory was overwritten, or the kernel is broken: stop the machine and report it.",
  find(host, look) {
    for (const descriptor of readDescriptors(host, look)) {
      look.at();
      const nv = Number(decode(postedDescriptor, descriptor.value.value).nv);
      const right =
        descriptor.owner.value.kind === "cpu" ? [vectors.host] : [vectors.running, vectors.halted];
      if ((right as readonly number[]).includes(nv)) continue;
      look.add({
        subject: subjectOf(descriptor),
        title: `${capital(subjectOf(descriptor).name)} notifies with vector ${nv.toString(16).toUpperCase()}h.`,
        evidence: [shows(descriptor.value, `NV is ${nv.toString(16)}h`)],
      });
    }
  },
});

export const deadNotification = check({
  rule: "audit.post.destination",
  severity: "high",
  vendor: "intel",
  looksAt: "notification destinations of posted-interrupt descriptors, against the processors",
  why: "Nobody takes the notification: what was posted stays until the vCPU happens to look.",
  fix: "Move the vCPU (taskset its thread), so that KVM writes the destination anew; then report it.",
  find(host, look) {
    const [unit] = host.vtdUnits;
    for (const descriptor of readDescriptors(host, look)) {
      const extended = unit === undefined ? undefined : host.links.extendedMode(unit)?.value;
      if (extended === undefined) {
        look.lacks("the width of destinations");
        continue;
      }
      const { ndst, on, sn } = decode(postedDescriptor, descriptor.value.value);
      const id = extended ? Number(ndst) : (Number(ndst) >>> 8) & 0xff;
      const { processors } = host.state;
      const target = processors.find(({ apicId }) => apicId?.value === id);
      if (
        target === undefined &&
        (processors.length === 0 || processors.some(({ apicId }) => apicId === undefined))
      ) {
        look.lacks("the APIC ids of all processors");
        continue;
      }
      look.at();
      // Suppressed, it is told to nobody; the destination is written when the vCPU runs again.
      if (sn === 1 && on === 0) continue;
      const { owner } = descriptor;
      const own = owner.value.kind === "vcpu" || target?.cpu === owner.value.cpu;
      if (target !== undefined && target.online?.value !== false && own) continue;
      const who =
        target === undefined
          ? "which no processor has"
          : own
            ? `CPU ${target.cpu}, offline`
            : `CPU ${target.cpu}`;
      look.add({
        subject: subjectOf(descriptor),
        title: `${capital(subjectOf(descriptor).name)} notifies APIC ${id}, ${who}.`,
        evidence: [shows(descriptor.value, `NDST is ${hex(Number(ndst))}`)],
      });
    }
  },
});

export const unannouncedInterrupts = check({
  rule: "audit.post.unannounced",
  severity: "low",
  vendor: "intel",
  looksAt: "PIR, ON and SN of posted-interrupt descriptors",
  why: "The guest gets these interrupts only with the next one, or when it leaves for another reason.",
  fix: "Read it again: a vCPU that takes them in differs for a moment. If it stays so, report it.",
  find(host, look) {
    for (const descriptor of readDescriptors(host, look)) {
      look.at();
      const { pir, on, sn } = decode(postedDescriptor, descriptor.value.value);
      if (BigInt(pir) === 0n || on === 1 || sn === 1) continue;
      look.add({
        subject: subjectOf(descriptor),
        title: `${capital(subjectOf(descriptor).name)} holds interrupts that nobody was told of: PIR is not empty, ON and SN are 0.`,
        evidence: [shows(descriptor.value, `PIR is ${hex(BigInt(pir))}, ON 0, SN 0`)],
      });
    }
  },
});
