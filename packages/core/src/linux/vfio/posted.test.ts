import { expect, test } from "vitest";
import { Thread } from "../../hardware/call-stack.ts";
import type { Eventfd } from "../eventfd.ts";
import { kvmCreateVcpu, kvmCreateVm, kvmDestroyVm } from "../kvm/create.ts";
import { kvmVmFile } from "../kvm/file.ts";
import type { KvmRequest } from "../kvm/requests.ts";
import { vcpuRun, vcpuTakesInterrupt } from "../kvm/run.ts";
import { vmxX86Ops } from "../kvm/vmx/ops.ts";
import { close, ioctl } from "../syscall.ts";
import type { HostOptions } from "../testbed.ts";
import { eventfds, leftovers, nothingLeft, opened, passthrough, setMsix } from "./testbed.ts";
import { vfioPciRemove } from "./removal.ts";

const vectors = 4;

/** Two vCPUs that run on the only two CPUs, with a device whose vectors go to them in turn. */
function running(options: HostOptions = {}) {
  const machine = passthrough(vectors, { cpus: 2, ...options });
  const { k, device, cpus } = machine;
  const pages = k.pages.allocations;
  const vm = kvmCreateVm(k, { name: "guest", ops: vmxX86Ops })!;
  const taken: { vcpu: number; vector: number }[] = [];
  const vcpus = [0, 1].map((id) => {
    const vcpu = kvmCreateVcpu(k, vm, id, new Thread(`CPU ${id}/KVM`));
    if (typeof vcpu === "number") throw new RangeError(`KVM_CREATE_VCPU: ${vcpu}`);
    vcpu.guest = {
      interrupt: (vector) => {
        taken.push({ vcpu: id, vector });
        vcpu.processor!.apic.eoi();
      },
    };
    vcpuRun(k, vcpu, cpus[id]!);
    return vcpu;
  });
  const vmFile = kvmVmFile(vm);
  const request = (asked: KvmRequest) => ioctl(k, vmFile, asked);
  const triggers = eventfds(vectors);
  const routes = triggers.map((_, gsi) => ({
    gsi,
    addressLow: 0xfee00000 | ((gsi & 1) << 12) | 0,
    addressHigh: 0,
    data: 0x40 + gsi,
  }));
  request({ request: "KVM_SET_GSI_ROUTING", routes });
  for (const [gsi, eventfd] of triggers.entries()) request({ request: "KVM_IRQFD", eventfd, gsi });
  const file = opened(k, device);
  setMsix(k, file, 0, triggers);
  /** CPUs take what is pending, as long as something is: one may send to the other. */
  const settle = (): void => {
    while (cpus.some(({ localApic }) => localApic.pending() >= 0)) {
      for (const [id, vcpu] of vcpus.entries()) {
        if (cpus[id]!.localApic.pending() >= 0) vcpuTakesInterrupt(k, vcpu, cpus[id]!);
      }
    }
  };
  settle();
  for (const vcpu of vcpus) vcpu.counts.exits.externalInterrupt = 0;
  const stop = (): void => {
    close(k, vmFile);
    kvmDestroyVm(k, vm);
  };
  return { ...machine, vm, vcpus, taken, triggers, file, settle, stop, pages };
}

const each = (vector: number) => ({ vcpu: vector & 1, vector: 0x40 + vector });

test("a posted interrupt reaches the guest without an exit, a handler or an eventfd", () => {
  const { fn, vcpus, taken, triggers, settle } = running();
  for (let vector = 0; vector < vectors; vector++) {
    fn.signal(vector);
    settle();
  }
  expect(taken).toEqual([0, 1, 2, 3].map(each));
  expect(vcpus.map(({ counts }) => counts.exits.externalInterrupt)).toEqual([0, 0]);
  expect(triggers.map(({ count }: Eventfd) => count)).toEqual([0, 0, 0, 0]);
});

test("without posting the same interrupts come, each at the price of an exit", () => {
  const { fn, vcpus, taken, settle } = running({ commandLine: "intremap=nopost" });
  for (let vector = 0; vector < vectors; vector++) {
    fn.signal(vector);
    settle();
  }
  expect(taken.toSorted((left, right) => left.vector - right.vector)).toEqual([0, 1, 2, 3].map(each));
  expect(vcpus.reduce((sum, { counts }) => sum + counts.exits.externalInterrupt, 0)).toBe(vectors);
});

test("a device that is pulled while posted leaves entries, pages, vectors and producers as they were", () => {
  const { k, device, file, stop, pages } = running();
  device.removed = true;
  vfioPciRemove(k, device, 0);
  close(k, file);
  stop();
  expect(leftovers(k)).toEqual(nothingLeft);
  expect(k.pages.allocations).toBe(pages);
});
