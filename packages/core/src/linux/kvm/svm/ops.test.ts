import { describe, expect, test } from "vitest";
import { Thread } from "../../../hardware/call-stack.ts";
import { Outcome } from "../../../hardware/delivery.ts";
import { avicPhysicalEntry } from "../../../spec/apic/avic.ts";
import { irteGuest } from "../../../spec/amdvi/irte.ts";
import { decode, fromWords } from "../../../spec/codec.ts";
import { irDataOf } from "../../amd-ir/chip.ts";
import { amdRemapping } from "../../amd-ir/remapping.ts";
import { dataAt } from "../../irq/hierarchy.ts";
import { requestIrq } from "../../irq/manage.ts";
import type { Release } from "../../kernel.ts";
import { pciAllocIrqVectors, pciFreeIrqVectors, pciIrqVector } from "../../pci/msi.ts";
import { enableIrX2apic } from "../../remapping.ts";
import { host, settle, withMsix } from "../../testbed.ts";
import { kvmCreateVcpu, kvmCreateVm, kvmDestroyVm } from "../create.ts";
import { vcpuHalt, vcpuRun, vcpuSchedIn, vcpuSchedOut } from "../run.ts";
import type { Vcpu } from "../vcpu.ts";
import { avicDoorbell } from "./doorbell.ts";
import { svmX86Ops } from "./ops.ts";
import { avicProtocol } from "./protocol.ts";

const releases: readonly Release[] = ["5.4", "6.12", "7.0"];
const requester = 0x0100;
const vector = 0x51;

/** A host with a VM of some vCPUs, and a device of which it can have the interrupt. */
function boot(release: Release, vcpus = 2) {
  const doorbells: number[] = [];
  const machine = host({
    vendor: "amd",
    release,
    doorbell: (apicId) => {
      doorbells.push(apicId);
      avicDoorbell(machine.k, apicId);
    },
  });
  const { k, amdvi, cpus } = machine;
  enableIrX2apic(k);
  const { device } = machine.plug(requester, withMsix(1));
  pciAllocIrqVectors(k, device, 1, 1, "msix");
  const irq = pciIrqVector(k, device, 0);
  let onHost = 0;
  const handler = (): "handled" => {
    onHost++;
    return "handled";
  };
  requestIrq(k, irq, handler, "vfio", device);
  const before = k.pages.allocations;
  const vm = kvmCreateVm(k, { name: "vm", ops: svmX86Ops, x2apic: release !== "5.4" })!;
  const taken: [number, number][] = [];
  const made = Array.from({ length: vcpus }, (_, id) => {
    const vcpu = kvmCreateVcpu(k, vm, id, new Thread(`CPU ${id}/KVM`)) as Vcpu;
    vcpu.guest = {
      interrupt(v) {
        taken.push([id, v]);
        vcpu.processor!.apic.eoi();
      },
    };
    return vcpu;
  });
  const woken: Vcpu[] = [];
  k.kvm!.onWakeUp = (vcpu) => woken.push(vcpu);
  const ir = irDataOf(dataAt(k, irq, amdRemapping(k).iommus[0]!.domain!));
  vm.possibleBypassIrqs = 1;
  return {
    ...machine,
    device,
    irq,
    vm,
    vcpus: made,
    taken,
    woken,
    doorbells,
    before,
    get onHost() {
      return onHost;
    },
    pointAt: (vcpu: Vcpu | null) => svmX86Ops.piUpdateIrte(k, vm, irq, 24, vcpu, vector),
    send: (): Outcome => {
      const outcome = amdvi.interrupt(ir.message.addressLow, ir.message.data, requester);
      settle(k, cpus);
      return outcome;
    },
    entry: () => {
      const words = new Int32Array(4);
      k.memory.readWords(amdRemapping(k).segments[0]!.irqTables.get(requester)!.addressOf(ir.index), words);
      return decode(irteGuest, fromWords(words, 0, 128));
    },
    physical: (vcpu: Vcpu) => {
      const { state } = avicProtocol(k);
      return decode(avicPhysicalEntry, fromWords(state.tables, state.physicalAt(vcpu.slot), 64));
    },
  };
}

describe.each(releases)("in %s a device's interrupt", (release) => {
  test("reaches a vCPU that runs by a doorbell, without an exit", () => {
    const m = boot(release);
    const [vcpu] = m.vcpus;
    vcpuRun(m.k, vcpu!, m.cpus[2]!);
    expect(m.pointAt(vcpu!)).toBe(0);
    if (release !== "7.0") {
      // Until 6.16 the entry learns where the vCPU runs when it is next loaded.
      vcpuSchedOut(m.k, vcpu!);
      vcpuSchedIn(m.k, vcpu!, m.cpus[2]!);
    }
    const exits = vcpu!.counts.allExits;
    expect(m.send()).toBe(Outcome.posted);
    expect([m.taken, m.doorbells]).toEqual([[[0, vector]], [2]]);
    expect([vcpu!.counts.allExits, vcpu!.counts.notifications, m.onHost]).toEqual([exits, 1, 0]);
  });

  test("follows a vCPU that moves", () => {
    const m = boot(release);
    const [vcpu] = m.vcpus;
    vcpuRun(m.k, vcpu!, m.cpus[1]!);
    m.pointAt(vcpu!);
    for (const cpu of [3, 0, 2]) {
      vcpuSchedOut(m.k, vcpu!);
      expect([m.entry().isrun, m.physical(vcpu!).isrunning]).toEqual([0, 0]);
      vcpuSchedIn(m.k, vcpu!, m.cpus[cpu]!);
      expect([m.entry().isrun, m.entry().dest, m.physical(vcpu!).host]).toEqual([1, cpu, cpu]);
      m.doorbells.length = 0;
      m.send();
      expect(m.doorbells).toEqual([cpu]);
    }
    expect(m.taken.length).toBe(3);
  });

  test("wakes a vCPU that sleeps, through the guest log, and is there when it enters", () => {
    const m = boot(release);
    const [vcpu] = m.vcpus;
    vcpuRun(m.k, vcpu!, m.cpus[1]!);
    m.pointAt(vcpu!);
    expect(vcpuHalt(m.k, vcpu!)).toBe(false);
    expect(m.entry()).toMatchObject({ isrun: 0, galogintr: 1 });
    expect([vcpu!.asleep, m.woken]).toEqual([true, []]);
    m.send();
    expect(m.woken).toEqual([vcpu]);
    vcpuSchedIn(m.k, vcpu!, m.cpus[3]!);
    expect([m.taken, m.doorbells]).toEqual([[[0, vector]], []]);
    expect([m.entry().isrun, m.entry().dest]).toEqual([1, 3]);
  });

  test("that comes while its vCPU is preempted waits in the backing page", () => {
    const m = boot(release);
    const [vcpu] = m.vcpus;
    vcpuRun(m.k, vcpu!, m.cpus[1]!);
    m.pointAt(vcpu!);
    vcpuSchedOut(m.k, vcpu!);
    expect(m.entry().galogintr).toBe(release === "7.0" ? 0 : 1);
    m.send();
    expect([m.taken, m.woken]).toEqual([[], []]);
    vcpuSchedIn(m.k, vcpu!, m.cpus[1]!);
    expect(m.taken).toEqual([[0, vector]]);
  });

  test("goes to another vCPU when the guest says so, and to the host when it is taken away", () => {
    const m = boot(release);
    const [first, second] = m.vcpus;
    vcpuRun(m.k, first!, m.cpus[0]!);
    vcpuRun(m.k, second!, m.cpus[1]!);
    m.pointAt(first!);
    m.pointAt(second!);
    vcpuSchedOut(m.k, second!);
    vcpuSchedIn(m.k, second!, m.cpus[2]!);
    m.send();
    expect(m.taken).toEqual([[1, vector]]);
    expect(avicProtocol(m.k).state.posting).toBe(1);
    m.pointAt(null);
    m.send();
    expect([m.taken.length, m.onHost]).toEqual([1, 1]);
    expect(avicProtocol(m.k).state.posting).toBe(0);
  });

  test("is the host's again when its VM goes away, and nothing is left", () => {
    const m = boot(release);
    vcpuRun(m.k, m.vcpus[0]!, m.cpus[0]!);
    m.pointAt(m.vcpus[0]!);
    kvmDestroyVm(m.k, m.vm);
    m.send();
    expect([m.onHost, m.k.pages.allocations]).toEqual([1, m.before]);
    pciFreeIrqVectors(m.k, m.device);
  });
});

describe.each(releases)("in %s KVM", (release) => {
  test("rings the doorbell for an interrupt of its own, and wakes who sleeps", () => {
    const m = boot(release);
    const [first, second] = m.vcpus;
    vcpuRun(m.k, first!, m.cpus[2]!);
    vcpuRun(m.k, second!, m.cpus[1]!);
    vcpuHalt(m.k, second!);
    svmX86Ops.deliverInterrupt(m.k, first!, 0x61);
    expect(m.taken).toEqual([[0, 0x61]]);
    svmX86Ops.deliverInterrupt(m.k, second!, 0x62);
    expect(m.woken).toEqual([second]);
    vcpuSchedIn(m.k, second!, m.cpus[1]!);
    expect(m.taken).toEqual([
      [0, 0x61],
      [1, 0x62],
    ]);
  });

  test("sees an IPI only when its target does not run", () => {
    const m = boot(release);
    const [first, second] = m.vcpus;
    vcpuRun(m.k, first!, m.cpus[2]!);
    vcpuRun(m.k, second!, m.cpus[1]!);
    first!.processor!.apic.sendIpi(1, 0x71);
    expect([m.taken, first!.counts.exits.incompleteIpi]).toEqual([[[1, 0x71]], 0]);
    vcpuHalt(m.k, second!);
    first!.processor!.apic.sendIpi(1, 0x72);
    expect([first!.counts.exits.incompleteIpi, m.woken]).toEqual([1, [second]]);
    vcpuSchedIn(m.k, second!, m.cpus[1]!);
    expect(m.taken.at(-1)).toEqual([1, 0x72]);
  });

  test("sends an IPI that has no valid target itself, and drops one whose vector is illegal", () => {
    const m = boot(release);
    const [first] = m.vcpus;
    vcpuRun(m.k, first!, m.cpus[2]!);
    first!.processor!.apic.sendIpi(7, 0x71);
    first!.processor!.apic.sendIpi(1, 0x0f);
    expect([m.taken, first!.counts.exits.incompleteIpi]).toEqual([[], 2]);
  });
});

describe("GATag", () => {
  test.each([
    ["5.4", (1 << 8) | 1],
    ["6.12", (1 << 9) | 1],
    ["7.0", (1 << 12) | 1],
  ] as const)("of %s has the VM above the vCPU", (release, tag) => {
    const m = boot(release);
    m.pointAt(m.vcpus[1]!);
    expect(m.entry()).toMatchObject({ gatag: tag, guestmode: 1, vector });
  });
});

describe("a VM that AVIC cannot serve", () => {
  test("because of an APIC id beyond its tables has its interrupts injected", () => {
    const m = boot("7.0");
    const far = kvmCreateVcpu(m.k, m.vm, 0x200, new Thread("far")) as Vcpu;
    expect([m.vm.apicv, ...[...m.vcpus, far].map(({ processor }) => processor!.kind)]).toEqual([
      false,
      "injected",
      "injected",
      "injected",
    ]);
  });

  test("in x2APIC mode before 6.0 has them injected too", () => {
    const { k } = boot("5.4");
    const vm = kvmCreateVm(k, { name: "x2apic", ops: svmX86Ops })!;
    const vcpu = kvmCreateVcpu(k, vm, 0, new Thread("x2apic")) as Vcpu;
    expect([vm.apicv, vcpu.processor!.kind]).toEqual([false, "injected"]);
  });
});
