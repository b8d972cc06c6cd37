import { type EventKind, eventKinds } from "../../hardware/event.ts";
import { opsOf } from "../../machine/machine.ts";
import { hex } from "../../spec/codec.ts";
import { deliveryModes } from "../../spec/msi/message.ts";
import { vectorOf } from "./told.ts";
import type { Walker } from "./walker.ts";

/** Turns what local APICs, processors and vCPUs report into steps. */
export class ProcessorTeller {
  readonly #walker: Walker;
  readonly #exitReasons: ReadonlyMap<number, string>;

  constructor(walker: Walker) {
    this.#walker = walker;
    const { exitReasons } = opsOf(walker.machine.hardware.settings.vendor);
    this.#exitReasons = new Map(Object.entries(exitReasons).map(([name, number]) => [number, name]));
  }

  record(kind: EventKind, a: number, b: number, c: number, d: number): void {
    switch (kind) {
      case eventKinds.accepted:
        return this.#accepted(a, b, c);
      case eventKinds.acknowledged:
        return this.#acknowledged(a, b);
      case eventKinds.undelivered:
        return this.#undelivered(a, b, c);
      case eventKinds.virtual:
        return this.#virtual(a, b);
      case eventKinds.vmEntry:
        return this.#vmEntry(a, b);
      case eventKinds.vmExit:
        return this.#vmExit(a, b, c);
      case eventKinds.routed:
        return this.#routed(a, b, d);
    }
  }

  #accepted(apicId: number, vector: number, mode: number): void {
    const walker = this.#walker;
    if (walker.inSoftware) walker.look();
    else this.#virtualIpis();
    const actor = walker.bystanders.processor(apicId);
    if (vector >= 0 && vector < 256) walker.bystanders.accepted(apicId)[vector] = walker.inFlight;
    const name = deliveryModes[mode as keyof typeof deliveryModes] ?? "reserved";
    walker.tell(
      {
        stop: "apic",
        actor,
        title: mode <= 1 ? `the local APIC accepts ${vectorOf(vector)}` : `the local APIC accepts an ${name}`,
        detail: `APIC id ${apicId}, ${name}`,
        rule: mode <= 1 ? "apic.accept.fixed" : "apic.accept.bypass",
      },
      walker.inFlight,
    );
  }

  /** A processor in guest mode has sent an IPI by itself: what is posted was no unit's and no software's doing. */
  #virtualIpis(): void {
    const walker = this.#walker;
    for (const { name, address } of walker.bystanders.vcpus.values()) {
      const touched = walker.structures.changed(address);
      if (touched === undefined) continue;
      walker.tell(
        {
          stop: "descriptor",
          actor: name,
          title: `the sender's processor posts into the descriptor of ${name}`,
          detail: "an IPI between vCPUs, without a VM exit",
          rule: "vmx.ipi.virtualization",
          touched: [touched],
        },
        0,
      );
    }
  }

  #acknowledged(apicId: number, vector: number): void {
    const walker = this.#walker;
    const requests = walker.bystanders.accepted(apicId);
    const request = requests[vector] ?? 0;
    requests[vector] = 0;
    walker.inFlight = 0;
    const actor = walker.bystanders.processor(apicId);
    walker.tell(
      { stop: "apic", actor, title: `${actor} takes ${vectorOf(vector)}`, rule: "apic.acknowledge" },
      request,
    );
    walker.takes(actor, vector, request);
  }

  #undelivered(destination: number, vector: number, mode: number): void {
    const walker = this.#walker;
    const name = deliveryModes[mode as keyof typeof deliveryModes] ?? "reserved";
    walker.tell(
      {
        stop: "apic",
        actor: `APIC ${destination >>> 0}`,
        title: "no local APIC takes it",
        detail: `destination ${hex(destination >>> 0)}, ${vectorOf(vector)}, ${name}`,
      },
      walker.inFlight,
    );
  }

  #virtual(slot: number, vector: number): void {
    const walker = this.#walker;
    const known = walker.bystanders.vcpus.get(slot);
    const request = known?.requests[vector] || walker.serving;
    const name = known?.name ?? `vCPU ${slot}`;
    if (known !== undefined) {
      known.requests[vector] = 0;
      const touched = walker.structures.changed(known.address);
      if (touched !== undefined) {
        walker.tell(
          {
            stop: "vcpu",
            actor: name,
            title: "the processor moves PIR into the virtual IRR",
            detail: "ON is cleared; the guest goes on running",
            rule: "vmx.posted.harvest",
            touched: [touched],
          },
          request,
        );
      }
    }
    const kind = known?.vcpu.processor?.kind;
    walker.tell(
      {
        stop: "vcpu",
        actor: name,
        title: `${name} takes ${vectorOf(vector)}`,
        detail: kind === "injected" ? "injected with the VM entry" : "through its virtual APIC",
        rule: kind === "vmx" ? "vmx.deliver" : kind === "avic" ? "avic.evaluate" : null,
      },
      request,
    );
  }

  #vmEntry(slot: number, apicId: number): void {
    const walker = this.#walker;
    walker.bystanders.meetVcpus();
    const name = walker.bystanders.vcpus.get(slot)?.name ?? `vCPU ${slot}`;
    const on = walker.bystanders.processor(apicId);
    walker.software("vcpu", name, `${name} runs on ${on}`, { detail: "VM entry" });
  }

  #vmExit(slot: number, apicId: number, reason: number): void {
    const walker = this.#walker;
    const name = walker.bystanders.vcpus.get(slot)?.name ?? `vCPU ${slot}`;
    const on = walker.bystanders.processor(apicId);
    const why = this.#exitReasons.get(reason) ?? `exit ${reason}`;
    walker.software("vcpu", name, `${name} leaves guest mode on ${on}`, { detail: `VM exit: ${why}` });
  }

  #routed(irq: number, slot: number, vector: number): void {
    const walker = this.#walker;
    const name = walker.bystanders.vcpus.get(slot)?.name ?? `vCPU ${slot}`;
    const title = slot < 0 ? `KVM gives irq ${irq} back to the host` : `KVM points irq ${irq} at ${name}`;
    walker.software("software", name, title, slot < 0 ? {} : { detail: vectorOf(vector) });
  }
}
