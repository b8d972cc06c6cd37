import type { HostEntry } from "../host/entry.ts";
import type { HostLinks } from "../host/links.ts";
import type { Missing, Origin } from "../../evidence/host/fact.ts";
import type { Vcpu, VirtualMachine } from "../../evidence/host/virtual-machine.ts";
import { avicPhysicalEntry } from "../../spec/apic/avic.ts";
import { type Row, decode, hex, table } from "../../spec/codec.ts";
import { printRequester } from "../../spec/requester.ts";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import { type FollowStep, Story } from "./following.ts";
import { VtdHost } from "./host-vtd.ts";
import { tellPosted } from "./posted.ts";
import { inhibitNames } from "./apicv-inhibits.ts";

/** One who posts to a vCPU. */
export interface Poster {
  readonly unit: string;
  /** AMD-Vi: whose table. */
  readonly requester: number | null;
  readonly index: number;
  /** The guest's. */
  readonly vector: number;
  readonly irqs: readonly number[];
}

/** A vCPU of a host, followed: who posts to it, and what would become of a post. */
export interface FollowedVcpu {
  readonly subject: string;
  readonly kind: "vcpu";
  readonly title: string;
  readonly machine: string;
  readonly vcpu: number;
  /** Of the descriptor, or the backing page. */
  readonly address: bigint | null;
  readonly descriptor: readonly Row[] | null;
  /** Set in PIR. */
  readonly pending: readonly number[];
  readonly posters: readonly Poster[];
  /** What would become of a post now; a vector that one of the posters has, or the lowest. */
  readonly path: readonly FollowStep[];
  readonly outcome: "posted" | "not known";
  readonly why: string;
  readonly missing: readonly Missing[];
}

/** The lowest vector that a device can have. */
const lowestVector = 0x20;

export function followVcpu(
  links: HostLinks,
  machine: VirtualMachine,
  vcpu: Vcpu,
  subject: string,
): FollowedVcpu {
  const story = new Story();
  const address = vcpu.descriptor?.value;
  const entries = address === undefined ? [] : links.entries.filter((entry) => addressOf(entry) === address);
  const posters = entries.map((entry) => posterOf(links, entry));
  tellState(story, links, machine, vcpu);
  const value = address === undefined ? undefined : links.descriptorAt(address)?.descriptor?.value;
  const vector = posters[0]?.vector ?? lowestVector;
  if (address === undefined) {
    story.lack({
      what: `where the descriptor of vCPU ${vcpu.id} lies`,
      why: `${links.state.source} does not tell it`,
      needs: "root on the host, or a dump of its kernel with the memory of KVM",
    });
  } else tellPost(story, links, address, vector, entries);
  const command = machine.command === undefined ? "" : ` (${machine.command.value})`;
  const { outcome, why } = story.ended ?? { outcome: "not known", why: "The descriptor is not known." };
  return {
    subject,
    kind: "vcpu",
    title: `vCPU ${vcpu.id} of VM ${machine.name}${command}`,
    machine: machine.name,
    vcpu: vcpu.id,
    address: address ?? null,
    descriptor: value === undefined ? null : table(postedDescriptor, value.value),
    pending: value === undefined ? [] : setBits(BigInt(decode(postedDescriptor, value.value).pir)),
    posters,
    path: story.path,
    outcome: outcome === "posted" ? "posted" : "not known",
    why,
    missing: story.missing,
  };
}

function addressOf({ descriptor, guest }: HostEntry): bigint | undefined {
  return descriptor ?? guest?.root;
}

function posterOf(links: HostLinks, entry: HostEntry): Poster {
  const { unit, requester, index, vector } = entry;
  return { unit: unit.name, requester, index, vector, irqs: links.interruptsOf(entry).map(({ irq }) => irq) };
}

function tellState(story: Story, { state }: HostLinks, machine: VirtualMachine, vcpu: Vcpu): void {
  const { cpu, mode, apicvActive, descriptor } = vcpu;
  const tell = (title: string, detail: string | undefined, ...evidence: (Origin | undefined)[]): void =>
    story.tell({
      part: "guest",
      title,
      verdict: detail === undefined ? "not known" : "held",
      detail: detail ?? `${state.source} does not tell it`,
      evidence,
    });
  const where = cpu === undefined ? undefined : cpu.value < 0 ? "on none so far" : `CPU ${cpu.value}`;
  tell("where it runs, or last ran", where, cpu?.origin);
  tell("whether it is in its guest", mode?.value, mode?.origin);
  const active = apicvActive === undefined ? undefined : apicvActive.value ? "active" : "inactive";
  tell("its hardware APIC", active, apicvActive?.origin);
  const { inhibited } = machine;
  if (inhibited !== undefined) {
    const names = inhibitNames(inhibited.value, state.system.release?.value).join(", ");
    tell("what inhibits it", names === "" ? "nothing" : names, inhibited.origin);
  }
  const { waitsOn, avicEntry } = vcpu;
  if (waitsOn !== undefined) {
    const list = waitsOn.value < 0 ? "none" : `that of CPU ${waitsOn.value}`;
    tell("the wakeup list on which it waits", list, waitsOn.origin);
  }
  if (avicEntry !== undefined) {
    const { host, isrunning, v } = decode(avicPhysicalEntry, avicEntry.value);
    tell(
      "its entry in the physical id table",
      `V=${v} IsRunning=${isrunning} host APIC id ${hex(host)}`,
      avicEntry.origin,
    );
  }
  const place = descriptor === undefined ? undefined : hex(descriptor.value);
  tell("its descriptor or backing page", place, descriptor?.origin);
}

/** What would become of a post: through an entry that posts to it if there is one. */
function tellPost(
  story: Story,
  links: HostLinks,
  address: bigint,
  vector: number,
  entries: readonly HostEntry[],
): void {
  const [entry] = entries;
  const unit = entry?.unit ?? links.state.units[0];
  const via = entry === undefined ? "no entry posts to it; if one did" : viaOf(entry);
  story.tell({
    part: "posting",
    title: "a post",
    verdict: "held",
    detail: `vector ${hex(vector)}: ${via}`,
    evidence: [entry?.origin],
  });
  if (unit === undefined) {
    story.lack({
      what: "the host's remapping units",
      why: `${links.state.source} names none`,
      needs: "sys/class/iommu of the host, or its DMAR or IVRS table",
    });
    return;
  }
  if (unit.vendor === "amd") {
    if (entry === undefined) {
      story.lack({
        what: "an entry that posts to it",
        why: "IsRun and GALogIntr stand in the entry",
        needs: null,
      });
      return;
    }
    const { running, logs } = entry.guest!;
    const destination = links.destinationOf(entry);
    const notification = running && destination !== undefined ? { destination, vector: null } : null;
    tellPosted(
      story,
      links,
      unit,
      { address, vector, notified: running, logged: logs, notification },
      "amdvi.ga.post",
    );
    return;
  }
  tellPosted(story, links, unit, new VtdHost(links, unit).post(address, vector), "vtd.post.atomic");
}

function viaOf({ unit, requester, index }: HostEntry): string {
  return `through entry ${requester === null ? "" : `${printRequester(requester)}:`}${index} of ${unit.name}`;
}

function setBits(bits: bigint): number[] {
  const set: number[] = [];
  for (let vector = 0; vector < 256; vector++) if (((bits >> BigInt(vector)) & 1n) === 1n) set.push(vector);
  return set;
}
