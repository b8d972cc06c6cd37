import { DeliveryMode } from "../hardware/delivery.ts";
import type { LocalApic } from "../hardware/lapic/local-apic.ts";
import { apicBase, apicBaseMsr, apicRegisters, interruptCommand } from "../spec/apic/local-apic.ts";
import { decode, encode } from "../spec/codec.ts";
import type { Cpu, CpuApic } from "./cpu.ts";

/** A processor with a local APIC of its own: what a kernel on bare metal runs on. */
export class LocalCpu implements Cpu {
  readonly number: number;
  readonly apic: CpuApic;
  readonly localApic: LocalApic;
  online = true;
  /** IPIs that it has sent. */
  sentIpis = 0;

  constructor(number: number, localApic: LocalApic) {
    this.number = number;
    this.localApic = localApic;
    this.apic = {
      eoi: () => localApic.eoi(),
      sendIpi: (apicId, vector) => {
        this.sentIpis++;
        writeCommand(localApic, apicId, vector);
      },
      requested: (vector) => localApic.requests(vector),
      enableX2apic: () => enableX2apic(localApic),
    };
  }

  get apicId(): number {
    return this.localApic.id;
  }
}

/** The MSR of ICR in x2APIC mode. */
const x2apicCommand = 0x830;

function enableX2apic(apic: LocalApic): void {
  const base = decode(apicBase, apic.readMsr(apicBaseMsr));
  apic.writeMsr(apicBaseMsr, encode(apicBase, { ...base, extd: 1 }));
}

/** A write to ICR, in the form that the APIC's mode has for it. */
function writeCommand(apic: LocalApic, destination: number, vector: number): void {
  const command = { v: vector, dlm: DeliveryMode.fixed, level: 1 };
  if (apic.x2apic) {
    apic.writeMsr(x2apicCommand, encode(interruptCommand, { ...command, dst: destination }));
    return;
  }
  apic.write(apicRegisters.icrHigh.offset, destination << 24);
  apic.write(apicRegisters.icr.offset, Number(encode(interruptCommand, command)));
}
