import { describe, expect, test } from "vitest";
import { HostDraft } from "../host/draft.ts";
import { KvmHost, changed } from "./testing/kvm-host.ts";
import { layouts as v61 } from "./testing/layouts-6.1.ts";
import { layouts as v612 } from "./testing/layouts-6.12.ts";
import { LayoutKernel } from "./testing/layout-kernel.ts";
import { walkKvm } from "./walk-kvm.ts";

const real = [v61, v612] as const;
/** As 5.10 has them: an array of vCPUs, and whether APICv is active beside the APIC. */
const old = changed(real[0], "5.10.0", {
  kvm: { vcpu_array: null, "vcpu_array.xa_head": null, vcpus: "35136 0 80 10 kvm_vcpu pointer" },
  kvm_lapic: { apicv_active: null },
  kvm_vcpu: { "arch.apicv_active": "4800 0 1 1 - value" },
});
const releases = [...real, old].map((layouts) => [layouts.release, layouts] as const);

describe.each(releases)("on kernel %s", (_release, layouts) => {
  test("machines are named by their process, and their vCPUs say where they run and who they are", () => {
    const host = new KvmHost(layouts, "intel");
    const vm = host.machine(host.process(4711, "qemu-system-x86"));
    host.kernel.set("kvm", vm, "arch.apicv_inhibit_reasons", 0x24);
    host.kernel.set("kvm", vm, "arch.assigned_device_count.counter", 3);
    const first = host.vcpu(vm, 0);
    host.vcpu(vm, 7, { apicId: 0x1_0007, x2apic: true });
    const active = layouts === old ? "arch.apicv_active" : undefined;
    if (active === undefined) {
      const apic = host.pointer(first + host.offset("kvm_vcpu", "arch.apic"));
      host.kernel.set("kvm_lapic", apic, "apicv_active", 1, "kvm");
    } else {
      host.kernel.set("kvm_vcpu", first, active, 1);
    }
    host.kernel.set("kvm_vcpu", first, "cpu", 3);
    host.kernel.set("kvm_vcpu", first, "mode", 1);
    host.kernel.memory.put(host.registers(first) + 0xd0n, 0x0100_0000, 4);
    host.kernel.memory.put(host.registers(first) + 0xe0n, 0xffff_ffff, 4);
    const pid = host.allocate("pid");
    host.kernel.memory.put(pid + host.offset("pid", "numbers") + host.offset("upid", "nr"), 4713, 4);
    host.kernel.set("kvm_vcpu", first, "pid", pid);

    const { machines, missing } = host.walk();
    expect(missing).toEqual([]);
    expect(machines).toHaveLength(1);
    const [machine] = machines;
    expect(machine).toMatchObject({
      name: "4711",
      pid: { value: 4711 },
      command: { value: "qemu-system-x86" },
      inhibited: { value: 0x24n },
      irqchip: { value: "split" },
      bypassable: { value: 3 },
    });
    expect(machine!.vcpus).toHaveLength(2);
    expect(machine!.vcpus[0]).toMatchObject({
      id: 0,
      apicId: { value: 0 },
      cpu: { value: 3 },
      mode: { value: "inside" },
      thread: { value: 4713 },
      apicvActive: { value: true },
      apicBase: { value: 0xfee0_0800n },
      logicalDestination: { value: 0x0100_0000 },
      destinationFormat: { value: 0xffff_ffff },
    });
    expect(machine!.vcpus[1]).toMatchObject({
      id: 7,
      apicId: { value: 0x1_0007 },
      apicvActive: { value: false },
    });
    expect(machine!.vcpus[1]!.thread).toBeUndefined();
  });

  test("a second machine of a process is named by where it lies", () => {
    const host = new KvmHost(layouts, "intel");
    const mm = host.process(9, "vmm");
    host.machine(mm);
    const second = host.machine(mm);
    const { machines } = host.walk();
    expect(machines.map(({ name }) => name)).toEqual(["9", `0x${second.toString(16)}`]);
    expect(machines.map(({ pid }) => pid?.value)).toEqual([9, 9]);
  });
});

test("a kernel without CONFIG_MEMCG names a machine by the thread that made it", () => {
  const host = new KvmHost(changed(real[1], "6.12.0", { mm_struct: { owner: null } }), "intel");
  const vm = host.machine(host.space(16));
  host.kernel.set("kvm", vm, "userspace_pid", 1234);
  const [machine] = host.walk().machines;
  expect(machine).toMatchObject({ name: "1234", pid: { value: 1234 } });
  expect(machine!.command).toBeUndefined();
});

test("6.17 counts the irqs that could bypass, where devices were counted", () => {
  const layouts = changed(real[1], "6.17.0", {
    kvm: {
      "arch.nr_possible_bypass_irqs": "304640 0 4 1 - value",
      "arch.assigned_device_count.counter": null,
    },
  });
  const host = new KvmHost(
    { ...layouts, types: { ...layouts.types, kvm: { ...layouts.types.kvm!, size: 40504 } } },
    "intel",
  );
  const vm = host.machine(host.process(1, "vmm"));
  host.kernel.set("kvm", vm, "arch.nr_possible_bypass_irqs", 5);
  expect(host.walk().machines[0]!.bypassable!.value).toBe(5);
});

test("without KVM there are no machines, and nothing is missing", () => {
  const { release, types } = real[1];
  const { kvm_lapic: _, ...others } = types;
  const draft = new HostDraft("memory");
  walkKvm(new LayoutKernel({ release, types: others }), draft);
  expect(draft.machines).toEqual([]);
  expect(draft.missing).toEqual([]);
});

test.each([
  ["BTF of the module", { kvm_lapic: null }, "CONFIG_DEBUG_INFO_BTF_MODULES"],
  [
    "a member that every release has",
    { kvm: { "arch.irqchip_mode": null } },
    "expected a member arch.irqchip_mode",
  ],
])("KVM without %s is one line of what is missing", (_what, changes, line) => {
  const host = new KvmHost(real[1], "intel");
  const vm = host.machine(host.process(1, "vmm"));
  host.vcpu(vm, 0);
  host.walk();
  const draft = new HostDraft("memory");
  const broken = new LayoutKernel(changed(real[1], "6.12.0", changes));
  Object.assign(broken, { memory: host.kernel.memory, places: host.kernel.places });
  walkKvm(broken, draft);
  expect(draft.missing.map(({ why }) => why)).toEqual([expect.stringContaining(line)]);
});

function host(): { host: KvmHost; vm: bigint; vcpu: bigint } {
  const host = new KvmHost(v612, "intel");
  const vm = host.machine(host.process(1, "vmm"));
  return { host, vm, vcpu: host.vcpu(vm, 0) };
}

describe("hostile memory ends in one line each, and what is whole is read", () => {
  test("a list of machines that runs in a circle", () => {
    const { host: made, vm } = host();
    made.walk();
    const node = vm + made.offset("kvm", "vm_list");
    made.kernel.memory.put(node, node);
    const { machines, missing } = made.walkAsIs();
    expect(machines).toHaveLength(1);
    expect(missing).toEqual([
      {
        what: "virtual machines of KVM",
        why: expect.stringContaining("runs in a circle after 1 elements"),
        needs: null,
      },
    ]);
  });

  test.each([0x7fff_ffff, 0x8000_0000, 0x1_0001])("%i vCPUs online", (count) => {
    const { host: made, vm } = host();
    made.walk();
    made.kernel.set("kvm", vm, "online_vcpus.counter", count);
    const { machines, missing } = made.walkAsIs();
    expect(machines[0]!.vcpus).toEqual([]);
    expect(missing.map(({ what }) => what)).toEqual(["virtual machine 1: its virtual processors"]);
  });

  test("more vCPUs counted than there are", () => {
    const { host: made, vm } = host();
    made.walk();
    made.kernel.set("kvm", vm, "online_vcpus.counter", 4096);
    const { machines, missing } = made.walkAsIs();
    expect(machines[0]!.vcpus).toHaveLength(1);
    expect(missing).toEqual([]);
  });

  test("a vCPU of another machine", () => {
    const { host: made, vcpu } = host();
    made.kernel.set("kvm_vcpu", vcpu, "kvm", 0xdead_0000n);
    const { machines, missing } = made.walk();
    expect(machines[0]!.vcpus).toEqual([]);
    expect(missing.map(({ why }) => why)).toEqual([expect.stringContaining("found 0xdead0000")]);
  });

  test.each([
    ["arch.apic", "its local APIC"],
    ["pid", "its thread"],
  ])("a vCPU whose %s points past memory", (name, part) => {
    const { host: made, vcpu } = host();
    made.kernel.set("kvm_vcpu", vcpu, name, 0xffff_ffff_ffff_f000n);
    const { machines, missing } = made.walk();
    expect(machines[0]!.vcpus).toHaveLength(1);
    expect(machines[0]!.vcpus[0]!.descriptor).toBeDefined();
    expect(missing.map(({ what }) => what)).toEqual([`virtual machine 1: virtual processor 0: ${part}`]);
  });

  test("a vCPU that is in every slot of every machine, and is none of theirs", () => {
    const { host: made } = host();
    for (let i = 0; i < 20; i++) made.machine(made.process(100 + i, "vmm"));
    // Each has 64 slots in the one node; none of the vCPUs is its own.
    const shared = made.allocate("xa_node");
    const stranger = made.allocate("kvm_vcpu");
    for (let i = 0; i < 64; i++) {
      made.kernel.memory.put(shared + made.offset("xa_node", "slots") + BigInt(i * 8), stranger);
    }
    made.walk();
    const head = made.kernel.places.get("kvm:vm_list")!;
    for (let node = made.pointer(head); node !== head; node = made.pointer(node)) {
      const vm = node - made.offset("kvm", "vm_list");
      made.kernel.set("kvm", vm, "vcpu_array.xa_head", shared | 2n);
      made.kernel.set("kvm", vm, "online_vcpus.counter", 64);
    }
    const { machines, missing } = made.walkAsIs();
    expect(machines).toHaveLength(21);
    expect(missing).toHaveLength(101);
    expect(missing.at(-1)!.what).toBe("more of the virtual machines");
  });
});
