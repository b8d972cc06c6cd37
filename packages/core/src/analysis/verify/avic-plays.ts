import type { AvicStepId } from "../../linux/posting/avic-steps.ts";
import type { PlayTitle, Size } from "./protocol.ts";

/** A thread beside those of vCPUs, or a device: it does its steps once. */
export interface AvicOther {
  readonly actor: string;
  readonly from: AvicStepId;
  /** Whom it is about: of a device's interrupt whom KVM would give it to. */
  readonly vcpu: number;
  /** The interrupt that it is about. */
  readonly entry: number;
  /** The step that its first routine returns to; none unless told. */
  readonly back?: AvicStepId;
}

/** What happens beside vCPUs and their scheduler, at some size. */
export interface AvicCast {
  readonly others: readonly AvicOther[];
  /** The entries that post from the start, to the vCPUs in turn; the rest are the host's. */
  readonly posted: number;
  readonly entries: number;
  /**
   * The guest has masked the interrupt while KVM changes where it goes: its device sends before or after, and nothing
   * of it is under way meanwhile.
   */
  readonly masked: boolean;
  /** Every thread keeps its CPU unless it sleeps. */
  readonly keepsCpus: boolean;
}

export interface AvicPlay extends PlayTitle {
  readonly cast: (size: Size) => AvicCast;
}

const device = (i: number, vcpu: number, entry: number): AvicOther => ({
  actor: `device ${i}`,
  from: "device-request",
  vcpu,
  entry,
});

const software = (i: number, vcpu: number): AvicOther => ({
  actor: `sender ${i}`,
  from: "software-request",
  vcpu,
  entry: 0,
});

const ipi = (i: number, vcpu: number): AvicOther => ({
  actor: `sender ${i}`,
  from: "ipi-request",
  vcpu,
  entry: 0,
});

/** Each post from a sender of its own kind, to the vCPUs in turn; devices have an entry each. */
function senders(size: Size, kinds: readonly ("device" | "software" | "ipi")[]): AvicCast {
  let entries = 0;
  const others = Array.from({ length: size.posts }, (_, i) => {
    const kind = kinds[i % kinds.length];
    if (kind === "software") return software(i, i % size.vcpus);
    if (kind === "ipi") return ipi(i, i % size.vcpus);
    return device(i, entries % size.vcpus, entries++);
  });
  // One that nobody sends through, if there is no device.
  return { others, posted: entries, entries: Math.max(1, entries), masked: false, keepsCpus: false };
}

/** Every post is one of the same interrupt, which somebody changes meanwhile. */
function changes(
  size: Size,
  changing: readonly AvicOther[],
  how: Partial<AvicCast> & Pick<AvicCast, "posted">,
): AvicCast {
  const devices = Array.from({ length: size.posts }, (_, i) => device(i, 0, 0));
  return { others: [...changing, ...devices], entries: 1, masked: false, keepsCpus: false, ...how };
}

const assign: AvicOther = { actor: "kvm", from: "assign-lock", vcpu: 0, entry: 0 };
const release: AvicOther = { actor: "kvm", from: "release-leave-list", vcpu: 0, entry: 0 };
const affinity: AvicOther = { actor: "host", from: "affinity-lock", vcpu: 0, entry: 0 };
const reroute = (size: Size): AvicOther => ({
  ...release,
  vcpu: size.vcpus > 1 ? 1 : 0,
  back: "assign-lock",
});

/** What `verify` explores of AVIC. */
export const avicPlays: readonly AvicPlay[] = [
  {
    name: "base",
    title: "devices post to vCPUs that halt, are preempted and move",
    byDefault: true,
    cast: (size) => senders(size, ["device"]),
  },
  {
    name: "senders",
    title: "KVM and other vCPUs send to vCPUs that halt, are preempted and move",
    byDefault: true,
    cast: (size) => senders(size, ["ipi", "software"]),
  },
  {
    name: "mixed",
    title: "a device, another vCPU and KVM send at once",
    byDefault: true,
    cast: (size) => senders(size, ["device", "ipi", "software"]),
  },
  {
    name: "assign",
    title: "KVM points an interrupt at a vCPU while its device sends",
    byDefault: true,
    cast: (size) => changes(size, [assign], { posted: 0 }),
  },
  {
    name: "affinity",
    title: "the host moves an interrupt while KVM points it at a vCPU, and its device sends",
    byDefault: true,
    cast: (size) => changes(size, [assign, affinity], { posted: 0, keepsCpus: true }),
  },
  {
    name: "reroute",
    title: "the guest masks its interrupt, which KVM then points anew",
    byDefault: true,
    cast: (size) => changes(size, [reroute(size)], { posted: 1, masked: true }),
  },
  {
    name: "release",
    title: "the guest masks its interrupt, which KVM then gives back to the host, where it is moved",
    byDefault: true,
    cast: (size) => changes(size, [release, affinity], { posted: 1, masked: true, keepsCpus: true }),
  },
  {
    name: "reroute-live",
    title: "KVM points an interrupt anew while its device sends: Linux 7.0 can lose one",
    byDefault: false,
    cast: (size) => changes(size, [reroute(size)], { posted: 1 }),
  },
];
