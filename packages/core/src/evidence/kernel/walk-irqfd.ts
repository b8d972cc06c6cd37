import type { BypassProducer, Irqfd } from "../host/virtual-machine.ts";
import type { Message } from "../host/device.ts";
import type { Allowance } from "./allowance.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct, typeOf } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";
import { xarrayOf } from "./trees.ts";

/** Type of a route (KVM_IRQ_ROUTING_MSI). */
const msiRoute = 2;

/** The irqfds of a virtual machine. */
export function irqfdsOf(vm: KernelStruct, allowance: Allowance): Irqfd[] {
  const irqfds: Irqfd[] = [];
  for (const irqfd of listOf(vm.kernel, vm.addressOf("irqfds.items"), "kvm_kernel_irqfd", "list", "kvm")) {
    allowance.take();
    const producer = irqfd.follow("producer", "irq_bypass_producer", "kvm");
    irqfds.push({
      gsi: irqfd.s32("gsi"),
      irq: producer?.s32("irq") ?? null,
      message: messageOf(irqfd),
      ...vcpuOf(irqfd),
    });
  }
  return irqfds;
}

function messageOf(irqfd: KernelStruct): Message | null {
  if (irqfd.u32("irq_entry.type") !== msiRoute) return null;
  const high = BigInt(irqfd.u32("irq_entry.msi.address_hi"));
  return {
    address: (high << 32n) | BigInt(irqfd.u32("irq_entry.msi.address_lo")),
    data: irqfd.u32("irq_entry.msi.data"),
  };
}

/** irq_bypass_vcpu, since 6.17. */
function vcpuOf(irqfd: KernelStruct): Pick<Irqfd, "vcpu"> {
  if (!irqfd.has("irq_bypass_vcpu")) return {};
  return { vcpu: irqfd.follow("irq_bypass_vcpu", "kvm_vcpu")?.s32("vcpu_id") ?? null };
}

/** What is registered with irqbypass; undefined when that is not loaded. */
export function bypassProducers(kernel: Kernel): BypassProducer[] | undefined {
  const head = kernel.symbols.address("producers", "irqbypass");
  if (head === undefined) return undefined;
  const producers = [...registered(kernel, "irq_bypass_producer", head)];
  const consumers = consumerTokens(kernel, producers[0]);
  return producers.map((producer) => ({
    irq: producer.s32("irq"),
    connected:
      consumers === undefined
        ? producer.pointer("consumer") !== 0n
        : consumers.has(producer.pointer("token", "eventfd")),
  }));
}

/** Since 6.17 a producer knows its consumer; before it both know the same token. */
function consumerTokens(kernel: Kernel, producer: KernelStruct | undefined): Set<bigint> | undefined {
  if (producer === undefined || producer.has("consumer")) return undefined;
  const head = kernel.symbols.address("consumers", "irqbypass");
  if (head === undefined) return new Set();
  const consumers = registered(kernel, "irq_bypass_consumer", head);
  return new Set([...consumers].map((consumer) => consumer.pointer("token", "eventfd")));
}

/** Lists up to 6.16, then XArrays by eventfd. */
function* registered(kernel: Kernel, type: string, head: bigint): Generator<KernelStruct> {
  const found = typeOf(kernel, type, "irqbypass");
  if (found.member("node") !== undefined) {
    yield* listOf(kernel, head, found, "node", "irqbypass");
    return;
  }
  for (const [, address] of xarrayOf(kernel, head))
    yield new KernelStruct(kernel, found, address, "irqbypass");
}
