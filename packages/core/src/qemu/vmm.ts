import { type Calls, type Caller, Thread } from "../hardware/call-stack.ts";
import type { Kernel } from "../linux/kernel.ts";
import type { File } from "../linux/syscall.ts";
import { AioContext } from "./aio/context.ts";
import { initContext } from "./aio/dispatch.ts";
import type { GuestRam } from "./guest-ram.ts";
import { IrqRoutes } from "./kvm/irqchip.ts";
import { apicBase, apicRegion } from "./kvm/send-msi.ts";
import { VcpuThread } from "./kvm/vcpu-thread.ts";
import { AddressSpace } from "./memory/address-space.ts";
import { MemoryRegion, addSubregion } from "./memory/region.ts";

export interface VmmOptions {
  /** The host's kernel. */
  readonly k: Kernel;
  /** The VM's file: KVM answers its requests. */
  readonly kvm: File;
  readonly ram: GuestRam;
  /** Threads of the vCPUs, by number; one of QEMU's own unless told. */
  readonly vcpuThreads?: readonly Thread[];
  /** The guest is told of KVM_FEATURE_MSI_EXT_DEST_ID. */
  readonly extendedDestinationId?: boolean;
}

/** Bytes of a guest physical address space. */
const physicalSize = 2 ** 52;

/** A QEMU process with one virtual machine. */
export class Vmm implements Caller {
  readonly calls: Calls;
  readonly k: Kernel;
  readonly kvm: File;
  readonly ram: GuestRam;
  readonly extendedDestinationId: boolean;
  /** `address_space_memory`: the guest's physical address space. */
  readonly memory: AddressSpace;
  readonly mainThread = new Thread("qemu-system-x86");
  readonly vcpus: readonly VcpuThread[];
  /** `qemu_aio_context`: bottom halves, and the block layer's file descriptors. */
  readonly aio = new AioContext("aio-context");
  /** `iohandler_ctx`: the file descriptors of devices. */
  readonly ioHandlers = new AioContext("io-handler");
  readonly routes = new IrqRoutes();
  /** What the outside has yet to answer. */
  readonly outside = new Set<Promise<void>>();
  /** Told when the main thread, if it sleeps, is woken. */
  onWork: (() => void) | null = null;
  /** Messages that KVM refused. */
  lostMessages = 0;

  constructor(options: VmmOptions) {
    this.k = options.k;
    this.calls = options.k.calls;
    this.kvm = options.kvm;
    this.ram = options.ram;
    this.extendedDestinationId = options.extendedDestinationId ?? false;
    this.vcpus = (options.vcpuThreads ?? [undefined]).map((thread, index) => new VcpuThread(index, thread));
    const system = new MemoryRegion({ name: "system", size: physicalSize });
    const { ram } = options;
    addSubregion(system, 0, new MemoryRegion({ name: "ram", size: ram.size, memory: { kind: "ram", ram } }));
    addSubregion(system, apicBase, apicRegion(), 0x1000);
    this.memory = new AddressSpace(system);
    initContext(this, this.aio);
    initContext(this, this.ioHandlers);
  }

  /** Asks the outside for something; {@link Vmm.outside} holds it until it is answered. */
  ask<T>(answer: Promise<T>, then: (value: T) => void, failed: (reason: unknown) => void): void {
    const settled: Promise<void> = answer.then(then, failed).finally(() => this.outside.delete(settled));
    this.outside.add(settled);
  }
}
