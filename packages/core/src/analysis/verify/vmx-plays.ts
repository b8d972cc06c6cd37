import type { VmxStepId } from "../../linux/posting/vmx-step-ids.ts";
import type { PlayTitle, Size } from "./protocol.ts";

/** What races beside vCPUs and their scheduler. */
export interface VmxPlay extends PlayTitle {
  /** First steps of what KVM and the host do meanwhile, all about the first device's entry and the first vCPU. */
  readonly beside: readonly VmxStepId[];
  /** How many of the posts are software's; the others are devices'. All of them at most. */
  readonly bySoftware?: number;
  /** Nothing is posted. */
  readonly silent?: true;
  /** Devices are assigned from the start, their entries posted. */
  readonly assigned: boolean;
  /** The interrupt that KVM takes back was the last that might bypass the host. */
  readonly last?: true;
  /** How much of what is asked for there is, where that is not all. */
  readonly budgets?: (size: Size) => Partial<Size>;
}

const still = (): Partial<Size> => ({ halts: 0, preemptions: 0, migrations: 0 });

/** Each has what the one before it does not show. */
export const vmxPlays: readonly VmxPlay[] = [
  {
    name: "base",
    title: "devices post to vCPUs that halt, are preempted and move",
    byDefault: true,
    beside: [],
    assigned: true,
  },
  {
    name: "software",
    title: "a device and software post",
    byDefault: true,
    beside: [],
    bySoftware: 1,
    assigned: true,
  },
  {
    name: "two-halts",
    title: "devices post to vCPUs that halt once more",
    byDefault: true,
    beside: [],
    assigned: true,
    budgets: ({ halts }) => ({ halts: halts + 1, preemptions: 0, migrations: 0 }),
  },
  {
    name: "assign",
    title: "the first device is assigned while it and others post",
    byDefault: true,
    beside: ["assign-count"],
    assigned: false,
    // An assignment takes longer than a post.
    budgets: ({ posts }) => ({ posts: Math.max(Math.min(posts, 1), posts - 1) }),
  },
  {
    name: "affinity",
    title: "the host moves an interrupt while devices post",
    byDefault: true,
    beside: ["affinity-lock"],
    assigned: true,
  },
  {
    name: "release",
    title: "an entry returns to the host while devices post",
    byDefault: true,
    beside: ["irte-ask-remapped"],
    assigned: true,
  },
  {
    name: "release-and-affinity",
    title: "an entry returns to the host, which moves the interrupt twice",
    byDefault: true,
    beside: ["irte-ask-remapped", "affinity-lock", "affinity-lock"],
    silent: true,
    assigned: true,
    budgets: still,
  },
  {
    name: "assign-and-affinity",
    title: "the first device is assigned, and the host moves the interrupt twice",
    byDefault: true,
    beside: ["assign-count", "affinity-lock", "affinity-lock"],
    silent: true,
    assigned: false,
    budgets: still,
  },
  {
    name: "release-count",
    title: "the last entry returns to the host as its vCPU goes to sleep (open in Linux 7.0)",
    byDefault: false,
    beside: ["irte-ask-remapped"],
    assigned: true,
    last: true,
    budgets: () => ({ preemptions: 0, migrations: 0 }),
  },
];
