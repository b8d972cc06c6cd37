import { type Calls, type Releases, within } from "../hardware/call-stack.ts";
import type { CpuCache } from "../hardware/cpu-cache.ts";
import type { Observer } from "../hardware/event.ts";
import type { Memory } from "../hardware/memory.ts";
import { type KernelParameters, parseCommandLine } from "./cmdline.ts";
import type { Cpu } from "./cpu.ts";
import type { Firmware } from "./firmware.ts";
import { IrqState } from "./irq/state.ts";
import { IrqBypass } from "./irqbypass.ts";
import type { KvmState } from "./kvm/state.ts";
import { KernelLog } from "./log.ts";
import { PageAllocator } from "./pages.ts";
import type { PciDevice } from "./pci/device.ts";
import type { PostedMsi } from "./posted-msi.ts";
import type { PostingState } from "./posting/posting-state.ts";
import type { StepTable } from "./posting/step.ts";
import type { VmxStepId } from "./posting/vmx-step-ids.ts";
import { vmxPosting } from "./posting/vmx-table.ts";
import type { IrqRemapOps, Remapping } from "./remapping.ts";
import type { VfioDevice } from "./vfio/device.ts";

/** Releases whose functions the model follows. */
export type Release = "5.4" | "6.12" | "7.0";

export interface KernelOptions {
  readonly release: Release;
  readonly memory: Memory;
  /** The part of memory that is this kernel's to allocate, on page boundaries. */
  readonly ram: { readonly from: number; readonly to: number };
  readonly calls: Calls;
  readonly cpus: readonly Cpu[];
  readonly firmware: Firmware;
  readonly commandLine?: string;
  /** The CPU's cache, where a remapping unit does not snoop it. */
  readonly cpuCache?: CpuCache;
  /** Takes the events of processors that the kernel drives: VM entries and exits. */
  readonly observer?: Observer;
  /** What it does of the posting protocol on Intel's hardware, where a step is left out; all of it unless told. */
  readonly vmxPosting?: StepTable<PostingState, VmxStepId>;
}

/**
 * A Linux kernel: a host's, or a guest's on its virtual hardware. Its subsystems are functions that take it as their
 * first argument; what they keep hangs here.
 */
export class Kernel {
  readonly release: Release;
  readonly memory: Memory;
  readonly pages: PageAllocator;
  readonly calls: Calls;
  readonly cpus: readonly Cpu[];
  readonly firmware: Firmware;
  readonly parameters: KernelParameters;
  readonly cpuCache: CpuCache | null;
  readonly observer: Observer | null;
  readonly vmxPosting: StepTable<PostingState, VmxStepId>;
  readonly log = new KernelLog();
  readonly irqs: IrqState;
  /** Interrupts of devices that may bypass the host, and who would take them. */
  readonly irqBypass = new IrqBypass();
  /** Devices that userspace holds through VFIO. */
  readonly vfioDevices = new Map<PciDevice, VfioDevice>();
  readonly devices: PciDevice[] = [];
  /** Local APICs are in x2APIC mode; decided while remapping is brought up. */
  x2apic = false;
  /** `remap_ops` and what its driver keeps; null where interrupts are not remapped. */
  remapping: Remapping | null = null;
  remapOps: IrqRemapOps | null = null;
  /** Virtual machines, while there are any. */
  kvm: KvmState | null = null;
  /** The CPUs' own posted-interrupt descriptors, with `intremap=posted_msi`. */
  postedMsi: PostedMsi | null = null;
  /** Seconds since boot, as whoever drives the machine lets them pass. */
  uptime = 0;
  /** The CPU that is executing: `smp_processor_id()`. */
  cpu: Cpu;

  constructor(options: KernelOptions) {
    this.release = options.release;
    this.memory = options.memory;
    this.pages = new PageAllocator(options.memory, options.ram.from, options.ram.to);
    this.calls = options.calls;
    this.cpus = options.cpus;
    this.cpu = options.cpus[0]!;
    this.firmware = options.firmware;
    this.cpuCache = options.cpuCache ?? null;
    this.observer = options.observer ?? null;
    this.vmxPosting = options.vmxPosting ?? vmxPosting;
    this.parameters = parseCommandLine(options.commandLine ?? "", options.release);
    this.irqs = new IrqState();
  }

  /** Whether its release is one of those. */
  runs(releases: Releases): boolean {
    return within(this.release, releases);
  }
}
