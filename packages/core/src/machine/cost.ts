/** Who is busy meanwhile: a processor in the host's software, one in a guest's, or none of them. */
export type CostOwner = "host" | "guest" | "hardware";

/** What one kind of work is modelled to cost. */
export interface Cost {
  /** Its place among all costs. */
  readonly index: number;
  readonly name: string;
  readonly owner: CostOwner;
  /** Cycles of a processor at {@link cyclesPerNanosecond}. */
  readonly cycles: number;
  /** The same as time. */
  readonly nanoseconds: number;
  /** Where the figure was measured, or what makes the estimate plausible. */
  readonly source: string;
  /** Nobody's measurement: an order of magnitude. */
  readonly estimated: boolean;
}

/** 2.5 GHz: what measurements that come in nanoseconds are turned into cycles with. */
export const cyclesPerNanosecond = 2.5;

type Described = Omit<Cost, "index" | "nanoseconds" | "estimated">;

const splitX =
  "measured 2,000 on a Xeon X5570 with KVM of Linux 2.6.34 (Landau et al., SplitX, WIOV 2011: direct cost of an exit)";
const ioctlPath =
  "measured 576 in and 576 to 592 out on AMD EPYC (M. Roth on lkml, Dec 2020, KVM_RUN of the SEV-ES series)";
const threadSwitch =
  "measured 1,070 ns on an 11th generation Core i7, Linux 6.6 (ddumbying.vercel.app, context switch over a pipe)";
const guestIpi =
  "measured 2,239 ns on a 2.5 GHz Xeon Skylake (Linux 4180bf1b655a, x2APIC cluster mode, 100,000 IPIs by the benchmark's default)";

function measured(
  owner: CostOwner,
  name: string,
  cycles: number,
  source: string,
): Described & { estimated: false } {
  return { owner, name, cycles, source, estimated: false };
}

function estimated(
  owner: CostOwner,
  name: string,
  cycles: number,
  reason: string,
): Described & { estimated: true } {
  return { owner, name, cycles, source: `estimated: ${reason}`, estimated: true };
}

const described = {
  /** Out of guest mode and back into it, without what is done in between. */
  vmExit: measured("host", "VM exit and entry", 2000, splitX),
  /** From KVM to the VMM's program and back, on top of an exit. */
  userExit: measured("host", "KVM_RUN left and entered again", 1152, ioctlPath),
  contextSwitch: measured("host", "thread switch", 2675, threadSwitch),
  /** Sent by a guest without IPI virtualization, until the target's handler has run; exits included. */
  guestIpi: measured("host", "IPI between vCPUs through KVM", 5598, guestIpi),

  hostInterrupt: estimated(
    "host",
    "external interrupt on the host",
    1200,
    "entry from the IDT, irq core, EOI and IRET, a few hundred cycles each with cold lines",
  ),
  postedMsi: estimated(
    "host",
    "posted MSI notification on the host",
    900,
    "one entry and EOI for up to three harvests of the PIR",
  ),
  postedMsiVector: estimated("host", "handler of one posted MSI", 250, "dispatch without entry and EOI"),
  ipi: estimated(
    "host",
    "IPI until it is accepted",
    1000,
    "a serializing ICR write and the way between two cores",
  ),
  wakeup: estimated(
    "host",
    "wake-up of a halted vCPU's thread",
    2500,
    "wakeup handler, try_to_wake_up and a reschedule interrupt",
  ),
  syscall: estimated("host", "system call", 200, "SYSCALL and SYSRET without mitigations of the last kinds"),
  eventfdInjection: estimated(
    "host",
    "eventfd, irqfd and injection by KVM",
    1000,
    "wait-queue call, routing lookup, LAPIC update, each with atomic operations",
  ),
  softwarePost: estimated(
    "host",
    "posting by software",
    150,
    "two locked operations on a line of another core",
  ),
  pirSync: estimated(
    "host",
    "PIR merged into the virtual IRR by KVM",
    100,
    "one line and up to eight exchanges",
  ),
  invalidationWait: estimated(
    "host",
    "wait for an invalidation",
    2000,
    "two descriptors, a tail write over the uncore and a spin on the status line",
  ),

  postedProcessing: estimated(
    "guest",
    "posted-interrupt processing",
    400,
    "microcode: clear ON, 256 bits of PIR to VIRR, evaluation",
  ),
  guestInterrupt: estimated(
    "guest",
    "virtual interrupt's entry, EOI and return",
    700,
    "delivery through the guest's IDT",
  ),

  msiWrite: estimated("hardware", "MSI write on its way to the unit", 625, "250 ns over PCI Express"),
  iommuFetch: estimated("hardware", "table entry fetched by the unit", 500, "200 ns to memory"),
  iommuCacheHit: estimated("hardware", "table entry from the unit's cache", 25, "10 ns"),
  descriptorPost: estimated(
    "hardware",
    "descriptor updated by the unit",
    500,
    "an atomic operation on memory",
  ),
} as const;

export type CostName = keyof typeof described;

/** All costs by name. What comes of them is called modelled: they are of different machines and years. */
export const costs = Object.fromEntries(
  Object.entries(described).map(([name, cost], index) => [
    name,
    { ...cost, nanoseconds: cost.cycles / cyclesPerNanosecond, index },
  ]),
) as { readonly [Name in CostName]: Cost };

/** The same, each at its index. */
export const costList: readonly Cost[] = Object.values(costs);
