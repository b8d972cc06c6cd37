import { describe, expect, test } from "vitest";
import { KvmHost, changed } from "./testing/kvm-host.ts";
import { layouts as v61 } from "./testing/layouts-6.1.ts";
import { layouts as v612 } from "./testing/layouts-6.12.ts";

const message = { address: 0x5_fee0_3000n, data: 0x4041 };
const real = [v61, v612].map((layouts) => [layouts.release, layouts] as const);

function producer(host: KvmHost, irq: number): bigint {
  const address = host.allocate("irq_bypass_producer", "kvm");
  host.kernel.set("irq_bypass_producer", address, "irq", irq, "kvm");
  return address;
}

describe.each(real)("on kernel %s", (_release, layouts) => {
  test("an irqfd has its gsi, the host's irq, and the guest's message", () => {
    const host = new KvmHost(layouts, "intel");
    const vm = host.machine(host.process(1, "vmm"));
    const bound = host.irqfd(vm, 24, message);
    host.kernel.set("kvm_kernel_irqfd", bound, "producer", producer(host, 130), "kvm");
    host.irqfd(vm, 25, { address: 0xfee0_0000n, data: 0x31 });
    host.irqfd(vm, 4);
    const { machines, missing } = host.walk();
    expect(missing).toEqual([]);
    expect(machines[0]!.irqfds!.value).toEqual([
      { gsi: 24, irq: 130, message },
      { gsi: 25, irq: null, message: { address: 0xfee0_0000n, data: 0x31 } },
      { gsi: 4, irq: null, message: null },
    ]);
  });

  test("a producer is connected to the consumer with its token", () => {
    const host = new KvmHost(layouts, "intel");
    const [producers, consumers] = [host.list(), host.list()];
    host.kernel.places.set("irqbypass:producers", producers);
    host.kernel.places.set("irqbypass:consumers", consumers);
    for (const [irq, token] of [
      [40, 0xffff_8880_0000_1000n],
      [41, 0xffff_8880_0000_2000n],
    ] as const) {
      const made = producer(host, irq);
      host.kernel.set("irq_bypass_producer", made, "token", token, "irqbypass");
      host.link(producers, made + host.offset("irq_bypass_producer", "node", "irqbypass"));
    }
    const consumer = host.allocate("irq_bypass_consumer", "irqbypass");
    host.kernel.set("irq_bypass_consumer", consumer, "token", 0xffff_8880_0000_2000n, "irqbypass");
    host.link(consumers, consumer + host.offset("irq_bypass_consumer", "node", "irqbypass"));
    const { producers: found, missing } = host.walk();
    expect(missing).toEqual([]);
    expect(found!.value).toEqual([
      { irq: 40, connected: false },
      { irq: 41, connected: true },
    ]);
  });
});

describe("since 6.17", () => {
  const layouts = changed(v612, "6.17.0", {
    kvm_kernel_irqfd: { irq_bypass_vcpu: "1664 0 8 1 kvm_vcpu pointer" },
    irq_bypass_producer: {
      node: null,
      token: null,
      eventfd: "0 0 8 1 eventfd_ctx pointer",
      consumer: "64 0 8 1 irq_bypass_consumer pointer",
    },
    irq_bypass_consumer: { node: null, token: null, eventfd: "0 0 8 1 eventfd_ctx pointer" },
  });

  test("an irqfd knows the vCPU that it posts to", () => {
    const host = new KvmHost(layouts, "intel");
    const vm = host.machine(host.process(1, "vmm"));
    const vcpu = host.vcpu(vm, 6);
    host.kernel.set("kvm_kernel_irqfd", host.irqfd(vm, 24), "irq_bypass_vcpu", vcpu, "kvm");
    host.irqfd(vm, 25);
    expect(host.walk().machines[0]!.irqfds!.value.map(({ vcpu }) => vcpu)).toEqual([6, null]);
  });

  test("producers are in an XArray, and know their consumer", () => {
    const host = new KvmHost(layouts, "intel");
    const [first, second] = [producer(host, 50), producer(host, 51)];
    host.kernel.set("irq_bypass_producer", second, "consumer", 0xffff_8880_0000_3000n, "irqbypass");
    const node = host.allocate("xa_node");
    host.kernel.memory.put(node + host.offset("xa_node", "slots") + 8n, first);
    host.kernel.memory.put(node + host.offset("xa_node", "slots") + 80n, second);
    const producers = host.allocate("xarray");
    host.kernel.set("xarray", producers, "xa_head", node | 2n);
    host.kernel.places.set("irqbypass:producers", producers);
    expect(host.walk().producers!.value).toEqual([
      { irq: 50, connected: false },
      { irq: 51, connected: true },
    ]);
  });
});

test("without irqbypass nothing is said of it", () => {
  const { producers, missing } = new KvmHost(v612, "intel").walk();
  expect(producers).toBeUndefined();
  expect(missing).toEqual([]);
});

test.each(["producers", "irqfds"] as const)(
  "a list of %s that runs in a circle is one line of what is missing",
  (which) => {
    const host = new KvmHost(v612, "intel");
    const vm = host.machine(host.process(1, "vmm"));
    const element = host.irqfd(vm, 24) + host.offset("kvm_kernel_irqfd", "list", "kvm");
    const made = producer(host, 9);
    host.kernel.places.set("irqbypass:producers", host.list());
    host.link(host.kernel.places.get("irqbypass:producers")!, made);
    const node = which === "irqfds" ? element : made;
    host.kernel.memory.put(node, node);
    const { machines, missing } = host.walk();
    expect(machines).toHaveLength(1);
    expect(missing.map(({ why }) => why)).toEqual([
      expect.stringContaining("runs in a circle after 1 elements"),
    ]);
  },
);
