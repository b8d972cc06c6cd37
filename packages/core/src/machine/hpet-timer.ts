import type { Hpet } from "../hardware/hpet.ts";
import { encode } from "../spec/codec.ts";
import { hpetTimerConfiguration } from "../spec/hpet/registers.ts";
import {
  type HpetDriver,
  hpetRemove,
  hpetRestartCounter,
  hpetResume,
  hpetSelectClockevents,
  hpetSetNextEvent,
  hpetSetupMsiIrq,
} from "../linux/hpet.ts";
import type { Kernel } from "../linux/kernel.ts";
import { succeeded } from "./action-error.ts";
import { InterruptSource } from "./interrupt-source.ts";

const ticks = 100;
/** What firmware leaves in the route on its own resume: compatibility format, to APIC 0. */
const firmwareConfiguration = Number(encode(hpetTimerConfiguration, { int: 1, fsb: 1 }));
const firmwareRoute = { address: 0xfee00000, data: 0x30 } as const;

/** The machine's HPET with its driver: one timer that interrupts when it is told to. */
export class HpetTimer {
  readonly source = new InterruptSource("hpet", 0);
  readonly #k: Kernel;
  readonly #hardware: Hpet;
  readonly #driver: HpetDriver;

  /** @throws ActionError when the kernel gives it no interrupt. */
  constructor(k: Kernel, hardware: Hpet) {
    this.#k = k;
    this.#hardware = hardware;
    this.#driver = hpetSelectClockevents(k, 0, hardware);
    const [channel] = this.#driver.channels;
    succeeded("hpet_setup_msi_irq", channel === undefined ? -19 : hpetSetupMsiIrq(k, channel, 0));
    hpetRestartCounter(k, hardware);
  }

  get #channel(): HpetDriver["channels"][number] {
    return this.#driver.channels[0]!;
  }

  /** The timer comes to its time. @param settle lets the processors take what has come. */
  fire(wasBlocked: () => boolean, settle: () => void): void {
    const { events } = this.#channel;
    hpetSetNextEvent(this.#k, this.#channel, ticks);
    this.source.raise();
    this.#hardware.advance(ticks);
    if (wasBlocked()) this.source.refuse();
    settle();
    if (this.#channel.events > events) this.source.handle();
  }

  /** Power goes; firmware brings the timer up again with a message of its own. */
  losePower(): void {
    this.#hardware.reset();
    this.#channel.write("route", firmwareRoute.data);
    this.#channel.write("route", firmwareRoute.address, 4);
    // Firmware turns messages on, as the timer had them.
    this.#channel.write("configuration", this.#channel.read("configuration") | firmwareConfiguration);
  }

  resume(restoreMessages: boolean): void {
    hpetResume(this.#k, this.#driver, { restoreMessages });
  }

  remove(): void {
    hpetRemove(this.#k, this.#driver);
  }
}
