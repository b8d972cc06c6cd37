import type { Hpet } from "../hardware/hpet.ts";
import { decode, encode } from "../spec/codec.ts";
import {
  hpetCapabilities,
  hpetConfiguration,
  hpetOffset,
  hpetTimerConfiguration,
  hpetTimerOffset,
} from "../spec/hpet/registers.ts";
import { errno } from "./errno.ts";
import type { IrqChip, MsiMessage } from "./irq/chip.ts";
import type { IrqData } from "./irq/descriptor.ts";
import type { AllocInfo, IrqDomain, IrqDomainOps } from "./irq/domain.ts";
import {
  dataAt,
  irqDomainAdd,
  irqDomainAllocIrqs,
  irqDomainFreeIrqs,
  irqDomainRemove,
} from "./irq/hierarchy.ts";
import { disableIrq, enableIrq, freeIrq, irqSetAffinity, requestIrq } from "./irq/manage.ts";
import { type MsiDomainInfo, msiDomainOps, msiDomainSetAffinity } from "./irq/msi.ts";
import { irqChipAckParent, irqChipComposeMsiMsg, irqChipRetriggerHierarchy } from "./irq/parent.ts";
import { vectorDomain } from "./irq/vector.ts";
import { kernelFunction } from "./kernel-function.ts";
import type { Kernel } from "./kernel.ts";

/** `struct hpet_channel`: a timer that interrupts one CPU. */
export class HpetChannel {
  readonly hardware: Hpet;
  readonly number: number;
  irq = 0;
  /** Events that its handler has seen. */
  events = 0;

  constructor(hardware: Hpet, number: number) {
    this.hardware = hardware;
    this.number = number;
  }

  get name(): string {
    return `hpet${this.number}`;
  }

  read(register: "configuration"): number {
    return this.hardware.read(this.#offset(register));
  }

  write(register: "configuration" | "comparator" | "route", value: number, at = 0): void {
    this.hardware.write(this.#offset(register) + at, value);
  }

  #offset(register: "configuration" | "comparator" | "route"): number {
    return hpetTimerOffset.first + this.number * hpetTimerOffset.stride + hpetTimerOffset[register];
  }
}

/** `struct hpet_base`: a block, and those of its timers that send messages. */
export class HpetDriver {
  readonly id: number;
  readonly hardware: Hpet;
  readonly domain: IrqDomain;
  readonly channels: HpetChannel[] = [];

  constructor(id: number, hardware: Hpet, domain: IrqDomain) {
    this.id = id;
    this.hardware = hardware;
    this.domain = domain;
  }
}

function channelOf(data: IrqData): HpetChannel {
  return data.chipData as HpetChannel;
}

const sends = Number(encode(hpetTimerConfiguration, { int: 1, fsb: 1 }));

const hpetMsiUnmask = kernelFunction("hpet_msi_unmask", (_k: Kernel, data: IrqData): void => {
  const channel = channelOf(data);
  channel.write("configuration", channel.read("configuration") | sends);
});

const hpetMsiMask = kernelFunction("hpet_msi_mask", (_k: Kernel, data: IrqData): void => {
  const channel = channelOf(data);
  channel.write("configuration", channel.read("configuration") & ~sends);
});

const hpetMsiWrite = kernelFunction(
  "hpet_msi_write",
  (_k: Kernel, channel: HpetChannel, message: MsiMessage): void => {
    channel.write("route", message.data);
    channel.write("route", message.addressLow, 4);
  },
);

const hpetMsiWriteMsg = kernelFunction(
  "hpet_msi_write_msg",
  (k: Kernel, data: IrqData, message: MsiMessage): void => {
    hpetMsiWrite(k, channelOf(data), message);
  },
  { tailCalls: { hpet_msi_write: true } },
);

const hpetMsiController: IrqChip = {
  name: "HPET-MSI",
  ack: irqChipAckParent,
  mask: hpetMsiMask,
  unmask: hpetMsiUnmask,
  setAffinity: msiDomainSetAffinity,
  writeMsiMsg: hpetMsiWriteMsg,
  retrigger: irqChipRetriggerHierarchy,
};

/** Ops of its own: what its levels keep is a channel, and no device. */
const hpetMsiDomainOps: IrqDomainOps = { ...msiDomainOps };

const hpetCreateIrqDomain = kernelFunction("hpet_create_irq_domain", (k: Kernel, id: number): IrqDomain => {
  const info: AllocInfo = { kind: "hpet", id, comparator: 0 };
  const parent = k.irqs.domains.find((one) => one.ops.select?.(k, one, info)) ?? vectorDomain(k);
  const remapped = parent !== vectorDomain(k);
  const chip = remapped ? { ...hpetMsiController, name: "IR-HPET-MSI" } : hpetMsiController;
  const hostData: MsiDomainInfo = { chip, multiMsi: false };
  return irqDomainAdd(k, { name: `HPET-MSI-${id}`, ops: hpetMsiDomainOps, parent, hostData });
});

/** @returns the Linux irq, or a negative errno. */
const hpetAssignIrq = kernelFunction(
  "hpet_assign_irq",
  (k: Kernel, { id, domain }: HpetDriver, channel: HpetChannel): number => {
    const irq = irqDomainAllocIrqs(k, domain, 1, { kind: "hpet", id, comparator: channel.number });
    if (irq < 0) return irq;
    const data = dataAt(k, irq, domain);
    data.hwirq = channel.number;
    data.chipData = channel;
    data.common.masked = true;
    return irq;
  },
);

const hpetMsiInterruptHandler = kernelFunction(
  "hpet_msi_interrupt_handler",
  (_k: Kernel, _irq: number, cookie: unknown): "handled" => {
    (cookie as HpetChannel).events++;
    return "handled";
  },
);

/** Finds the timers that can send messages, and gives each an interrupt. */
export const hpetSelectClockevents = kernelFunction(
  "hpet_select_clockevents",
  (k: Kernel, id: number, hardware: Hpet): HpetDriver => {
    const driver = new HpetDriver(id, hardware, hpetCreateIrqDomain(k, id));
    const capabilities = BigInt(hardware.read(hpetOffset.capabilities));
    const { last } = decode(hpetCapabilities, capabilities);
    for (let number = 0; number <= Number(last); number++) {
      const channel = new HpetChannel(hardware, number);
      const { fsbcap } = decode(hpetTimerConfiguration, BigInt(channel.read("configuration")));
      if (fsbcap === 0) continue;
      const irq = hpetAssignIrq(k, driver, channel);
      if (irq < 0) continue;
      channel.irq = irq;
      driver.channels.push(channel);
    }
    return driver;
  },
);

/** Has a channel interrupt a CPU. @returns 0, or a negative errno. */
export const hpetSetupMsiIrq = kernelFunction(
  "hpet_setup_msi_irq",
  (k: Kernel, channel: HpetChannel, cpu: number): number => {
    if (requestIrq(k, channel.irq, hpetMsiInterruptHandler, channel.name, channel) !== 0) return -errno.EPERM;
    disableIrq(k, channel.irq);
    irqSetAffinity(k, channel.irq, [cpu]);
    enableIrq(k, channel.irq);
    return 0;
  },
);

/** Sets the counter going, from zero. */
export const hpetRestartCounter = kernelFunction(
  "hpet_restart_counter",
  (_k: Kernel, hardware: Hpet): void => {
    const configuration = BigInt(hardware.read(hpetOffset.configuration));
    const { legacy } = decode(hpetConfiguration, configuration);
    hardware.write(hpetOffset.configuration, Number(encode(hpetConfiguration, { legacy })));
    hardware.write(hpetOffset.counter, 0);
    hardware.write(hpetOffset.configuration, Number(encode(hpetConfiguration, { legacy, enable: 1 })));
  },
);

/** Has a channel interrupt so many ticks from now. */
export const hpetSetNextEvent = kernelFunction(
  "hpet_clkevt_set_next_event",
  (_k: Kernel, channel: HpetChannel, delta: number): void => {
    channel.write("comparator", channel.hardware.read(hpetOffset.counter) + delta);
  },
);

/** A channel's message, written again: after resume the timer has whatever firmware has left there. */
const hpetClkevtMsiResume = kernelFunction(
  "hpet_clkevt_msi_resume",
  (k: Kernel, channel: HpetChannel): void => {
    const { data } = k.irqs.descriptors.get(channel.irq)!;
    const message: MsiMessage = { addressLow: 0, addressHigh: 0, data: 0 };
    irqChipComposeMsiMsg(k, data, message);
    hpetMsiWrite(k, channel, message);
    hpetMsiUnmask(k, data);
  },
);

/**
 * After resume.
 * @param restoreMessages what a kernel leaves out that does not use the timers itself: they are left to firmware.
 */
export function hpetResume(
  k: Kernel,
  { hardware, channels }: HpetDriver,
  { restoreMessages = true }: { readonly restoreMessages?: boolean } = {},
): void {
  hpetRestartCounter(k, hardware);
  if (restoreMessages) for (const channel of channels) hpetClkevtMsiResume(k, channel);
}

/** Gives the channels' interrupts back, and the domain. */
export function hpetRemove(k: Kernel, { domain, channels }: HpetDriver): void {
  for (const channel of channels) {
    if (k.irqs.descriptors.get(channel.irq)?.action != null) freeIrq(k, channel.irq, channel);
    irqDomainFreeIrqs(k, channel.irq, 1);
  }
  channels.length = 0;
  irqDomainRemove(k, domain);
}
