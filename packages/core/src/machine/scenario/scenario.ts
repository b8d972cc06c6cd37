import type { Release } from "../../linux/kernel.ts";

/** A number that whoever runs a scenario may choose. */
export interface Parameter {
  readonly name: string;
  readonly default: number;
  readonly from: number;
  readonly to: number;
  readonly about: string;
}

export interface MachineSettings {
  readonly vendor: "intel" | "amd";
  /** A hardware profile; the vendor's strict one unless told. */
  readonly profile: string;
  readonly cpus: number;
  /** CPUs have x2APIC mode. */
  readonly x2apic: boolean;
  /** The kernel's command line. */
  readonly cmdline: string;
  readonly firmware: FirmwareSettings;
}

export interface FirmwareSettings {
  /** A remapping unit is there, and firmware tells of it. */
  readonly unit: boolean;
  /** DMAR flag INTR_REMAP. */
  readonly remapping: boolean;
  /** DMAR flag X2APIC_OPT_OUT. */
  readonly x2apicOptOut: boolean;
  /** A device scope names the I/O APIC. */
  readonly ioapicScope: boolean;
  /** A HPET with MSI, behind the unit. */
  readonly hpet: boolean;
}

export interface DeviceSettings {
  readonly name: string;
  /** Bus:device.function, 16 bits. */
  readonly at: number;
  /** Vectors of its MSI-X; 0 for none. */
  readonly msix: number;
  /** Vectors that its MSI asks for; 0 for none. */
  readonly msi: number;
  /** The requester id that a bridge puts in its place. */
  readonly alias?: number;
  /** DMA remapping keeps it to memory that is its own. */
  readonly confined: boolean;
}

export interface DiskSettings {
  /** File name of the image, beside the scenario's. */
  readonly image: string;
}

export interface VmSettings {
  readonly name: string;
  /** The host CPU on which each vCPU starts. */
  readonly vcpus: readonly number[];
  /** Devices that are passed through. */
  readonly devices: readonly string[];
  /** A virtio-blk disk. */
  readonly disk?: DiskSettings;
  /** APICv or AVIC, as the host's CPU has it. */
  readonly apicv: boolean;
  /** The VMM maps the page with the MSI-X table into the guest. */
  readonly tableMapped: boolean;
}

/** Names a vCPU: `vm/number`. */
export interface VcpuName {
  readonly vm: string;
  readonly vcpu: number;
}

/** Something that happens. */
export type Action =
  /** The VM is created, its devices assigned, its vCPUs run. */
  | { readonly do: "start"; readonly vm: string }
  | { readonly do: "stop"; readonly vm: string }
  /** A driver enables its device's vectors and requests them: the host's, or the guest's that owns the device. */
  | {
      readonly do: "enable";
      readonly device: string;
      readonly kind: "msi" | "msix";
      readonly vectors: number;
      /** CPUs of the machine, or vCPUs of the VM, over which the vectors are spread. */
      readonly cpus?: readonly number[];
    }
  | { readonly do: "disable"; readonly device: string }
  /** VFIO alone: an unnamed program opens the device and enables vectors, with no VM behind it. */
  | {
      readonly do: "vfio-enable";
      readonly device: string;
      readonly kind: "msi" | "msix";
      readonly vectors: number;
    }
  | { readonly do: "vfio-close"; readonly device: string }
  /** The device raises vectors, each in turn, again and again. */
  | {
      readonly do: "interrupt";
      readonly device: string;
      /** A vector, or each that is enabled. */
      readonly vector: number | "each";
      readonly times: number;
      /** How many arrive before anybody looks. */
      readonly burst: number;
    }
  /** The device writes a dword wherever it likes. */
  | {
      readonly do: "write";
      readonly device: string;
      readonly address: number | DmaTarget;
      readonly data: number;
      /** With another requester id than its own. */
      readonly as?: number;
    }
  /** The device tries every destination, vector and delivery mode in turn. */
  | { readonly do: "attack"; readonly device: string; readonly as?: number }
  /** The guest writes its MSI-X table by itself: an entry's message. */
  | {
      readonly do: "guest-writes-table";
      readonly device: string;
      readonly vector: number;
      readonly address: number;
      readonly data: number;
    }
  | {
      readonly do: "affinity";
      readonly device: string;
      readonly vector: number;
      readonly cpus: readonly number[];
    }
  | { readonly do: "migrate"; readonly vcpu: VcpuName; readonly to: number }
  | { readonly do: "preempt"; readonly vcpu: VcpuName }
  | { readonly do: "resume-vcpu"; readonly vcpu: VcpuName }
  | { readonly do: "halt"; readonly vcpu: VcpuName }
  /** A vCPU sends a reschedule IPI to another of its VM. */
  | { readonly do: "ipi"; readonly vcpu: VcpuName; readonly to: number; readonly times: number }
  | { readonly do: "unplug"; readonly device: string }
  | { readonly do: "disk-read"; readonly vm: string; readonly sector: number; readonly count: number }
  | { readonly do: "disk-write"; readonly vm: string; readonly sector: number; readonly text: string }
  /** The host sleeps and wakes; firmware leaves the HPET's message behind as it likes it. */
  | { readonly do: "suspend"; readonly hpetRestored: boolean }
  | { readonly do: "hpet"; readonly times: number }
  /** The kernel crashes, and kdump's kernel boots on what is left. */
  | { readonly do: "crash" };

/** A place in memory that a device has no business with. */
export interface DmaTarget {
  readonly of: "irte" | "descriptor";
  /** Whose entry or descriptor. */
  readonly device: string;
  readonly vector: number;
  /** Byte offset in it. */
  readonly offset: number;
}

/** An amount that is expected. */
export type Expected = number | { readonly atLeast?: number; readonly atMost?: number };

/** What a run must have led to. */
export interface Expectation {
  readonly delivered?: Expected;
  readonly lost?: Expected;
  readonly coalesced?: Expected;
  readonly blocked?: Expected;
  readonly hijacked?: Expected;
  readonly vmExits?: Expected;
  readonly notifications?: Expected;
  readonly hostInterrupts?: Expected;
  /** Entries in posted mode at the end of the script, before the machine is taken apart. */
  readonly posted?: Expected;
  readonly remapped?: Expected;
  readonly wakeups?: Expected;
  /** IPIs that a handler in a guest took. */
  readonly ipis?: Expected;
  /** Fault reasons (VT-d) or event codes (AMD-Vi), and how often each. */
  readonly faults?: Readonly<Record<string, Expected>>;
  /** The action that ends the script is refused with this. */
  readonly fails?: string;
  /** Lines that the kernel must have printed. */
  readonly log?: readonly string[];
  /** Lines that it must not have printed. */
  readonly logLacks?: readonly string[];
  /** What the guest read from its disk equals the file. */
  readonly dataEqual?: boolean;
  readonly x2apic?: boolean;
  readonly remapping?: boolean;
  readonly posting?: boolean;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  /** The kernel that it follows. */
  readonly kernel: Release;
  readonly parameters: readonly Parameter[];
  /** The parameters' values in this reading. */
  readonly values: Readonly<Record<string, number>>;
  readonly machine: MachineSettings;
  readonly devices: readonly DeviceSettings[];
  readonly vms: readonly VmSettings[];
  readonly script: readonly Action[];
  readonly expect: Expectation;
  /** The same work in another setting: the name of a variant that is shown beside it unless another is asked for. */
  readonly beside?: string;
  readonly variants: readonly string[];
}
