import { describe, expect, test } from "vitest";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import { encode } from "../../spec/codec.ts";
import { KvmHost, changed } from "./testing/kvm-host.ts";
import { layouts as v61 } from "./testing/layouts-6.1.ts";
import { layouts as v612 } from "./testing/layouts-6.12.ts";

/** As 6.16 has it: descriptor and list entry in a structure that VMX and TDX share. */
const shared = changed(v612, "6.16.0", {
  vcpu_vmx: {
    pi_desc: null,
    pi_wakeup_list: null,
    "vt.pi_desc": "62464 0 64 1 pi_desc value",
    "vt.pi_wakeup_list": "62976 0 16 1 list_head value",
  },
});
const members = [
  [v61.release, v61, "pi_desc", "pi_wakeup_list"],
  [v612.release, v612, "pi_desc", "pi_wakeup_list"],
  [shared.release, shared, "vt.pi_desc", "vt.pi_wakeup_list"],
] as const;

/** What KVM makes of a descriptor whose vCPU waits on the processor with APIC id 3. */
const halted = encode(postedDescriptor, { nv: 0xf1, ndst: 3 });

function writeDescriptor(host: KvmHost, at: bigint, value: bigint): void {
  for (let i = 0; i < 8; i++)
    host.kernel.memory.put(at + BigInt(i * 8), (value >> BigInt(i * 64)) & ((1n << 64n) - 1n));
}

describe.each(members)("on kernel %s", (_release, layouts, descriptor, waiting) => {
  test("a vCPU has its descriptor, by the physical address that entries post to", () => {
    const host = new KvmHost(layouts, "intel");
    const vm = host.machine(host.process(77, "vmm"));
    host.vcpu(vm, 0);
    const vcpu = host.vcpu(vm, 5);
    const at = vcpu + host.offset("vcpu_vmx", descriptor, "kvm_intel");
    writeDescriptor(host, at, halted);
    const { machines, descriptors, missing } = host.walk();
    expect(missing).toEqual([]);
    expect(machines[0]!.vcpus[1]!.descriptor!.value).toBe(host.kernel.physical(at));
    expect(descriptors).toHaveLength(2);
    expect(descriptors[1]).toMatchObject({
      address: host.kernel.physical(at),
      owner: { value: { kind: "vcpu", machine: "77", vcpu: 5 } },
      value: { value: halted },
    });
    expect(descriptors[1]!.address % 64n).toBe(0n);
  });

  test("a vCPU that waits is on the list of one processor, others on none", () => {
    const host = new KvmHost(layouts, "intel");
    const vm = host.machine(host.process(77, "vmm"));
    const vcpus = [0, 1, 2].map((id) => host.vcpu(vm, id));
    const node = (vcpu: bigint): bigint => vcpu + host.offset("vcpu_vmx", waiting, "kvm_intel");
    host.link(host.waitingOn(2), node(vcpus[2]!));
    host.link(host.waitingOn(2), node(vcpus[0]!));
    expect(host.walk().machines[0]!.vcpus.map(({ waitsOn }) => waitsOn!.value)).toEqual([2, -1, 2]);
  });
});

test("before 5.17 the lists had another name, and linked vCPUs themselves", () => {
  const layouts = changed(v61, "5.10.0", {
    vcpu_vmx: { pi_wakeup_list: null, "vcpu.blocked_vcpu_list": "1600 0 16 1 list_head value" },
  });
  const host = new KvmHost(layouts, "intel");
  const { places } = host.kernel;
  places.set("kvm_intel:blocked_vcpu_on_cpu", places.get("kvm_intel:wakeup_vcpus_on_cpu")!);
  places.delete("kvm_intel:wakeup_vcpus_on_cpu");
  const vcpu = host.vcpu(host.machine(host.process(1, "vmm")), 0);
  host.link(host.waitingOn(1), vcpu + 200n);
  expect(host.walk().machines[0]!.vcpus[0]!.waitsOn!.value).toBe(1);
});

test("a machine of TDX has vCPUs of another structure", () => {
  const layouts = changed(shared, "6.16.0", {
    kvm: { "arch.vm_type": "52800 0 8 1 - value" },
    vcpu_tdx: {
      "vt.pi_desc": "55296 0 64 1 pi_desc value",
      "vt.pi_wakeup_list": "55808 0 16 1 list_head value",
    },
  });
  const host = new KvmHost(layouts, "intel");
  const vm = host.machine(host.process(1, "vmm"));
  host.kernel.set("kvm", vm, "arch.vm_type", 5);
  const vcpu = host.vcpu(vm, 0);
  expect(host.walk().machines[0]!.vcpus[0]!.descriptor!.value).toBe(host.kernel.physical(vcpu + 6912n));
});

test("each processor has a descriptor for the host's own MSIs, where the kernel posts them", () => {
  const host = new KvmHost(v612, "intel", 3);
  expect(host.walk().descriptors).toEqual([]);
  const value = encode(postedDescriptor, { nv: 0xeb, ndst: 1 });
  writeDescriptor(host, host.postedMsi(1), value);
  const { descriptors, missing } = host.walk();
  expect(missing).toEqual([]);
  expect(descriptors.map(({ owner }) => owner.value)).toEqual([0, 1, 2].map((cpu) => ({ kind: "cpu", cpu })));
  expect(descriptors[1]).toMatchObject({
    address: host.kernel.physical(host.postedMsi(1)),
    value: { value },
  });
});

describe("hostile memory", () => {
  test("a list of waiting vCPUs in a circle leaves their descriptors", () => {
    const host = new KvmHost(v612, "intel");
    host.vcpu(host.machine(host.process(1, "vmm")), 0);
    const stray = host.space(16);
    host.kernel.memory.put(host.waitingOn(0), stray);
    host.kernel.memory.put(stray, stray);
    const { machines, missing } = host.walk();
    expect(missing.map(({ what }) => what)).toEqual(["which processors virtual ones wait on"]);
    expect(machines[0]!.vcpus[0]!.descriptor).toBeDefined();
    expect(machines[0]!.vcpus[0]!.waitsOn).toBeUndefined();
  });

  test("more processors than there can be", () => {
    const host = new KvmHost(v612, "intel");
    host.postedMsi(0);
    host.kernel.memory.put(host.kernel.places.get("nr_cpu_ids")!, 0xffff_ffff, 4);
    const { descriptors, missing } = host.walk();
    expect(descriptors).toEqual([]);
    expect(missing.map(({ what }) => what)).toEqual([
      "posted-interrupt descriptors of the host's processors",
      "which processors virtual ones wait on",
    ]);
  });

  test("a descriptor past the end of memory", () => {
    const layouts = changed(v612, "6.12.0", { vcpu_vmx: { pi_desc: "1879048192 0 64 1 pi_desc value" } });
    const host = new KvmHost(layouts, "intel");
    host.vcpu(host.machine(host.process(1, "vmm")), 0);
    const { machines, descriptors, missing } = host.walk();
    expect(machines[0]!.vcpus[0]!.id).toBe(0);
    expect(descriptors).toEqual([]);
    expect(missing.map(({ what }) => what)).toEqual([
      "virtual machine 1: virtual processor 0: its posted-interrupt descriptor",
    ]);
  });
});
