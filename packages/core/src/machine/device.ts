import type { PciFunction } from "../hardware/pci/function.ts";
import { Signal } from "../hardware/pci/signal.ts";
import { Outcome } from "../hardware/delivery.ts";
import { PciDevice } from "../linux/pci/device.ts";
import { configOffset } from "../spec/pci/config-header.ts";
import * as command from "../spec/accessors/pci-command-status.ts";
import { msixEntryBytes } from "../spec/pci/msix.ts";
import { printRequester } from "../spec/requester.ts";
import { InterruptSource } from "./interrupt-source.ts";
import type { DeviceSettings } from "./scenario/scenario.ts";
import type { WatchedUnit } from "./watched-unit.ts";

/** A device of the machine: the function, the host's view of it, and an account of each of its vectors. */
export class Device {
  readonly settings: DeviceSettings;
  readonly fn: PciFunction;
  /** The kernel's view; a new one after a crash. */
  pci: PciDevice;
  readonly sources: InterruptSource[] = [];
  readonly #unit: WatchedUnit | undefined;

  constructor(settings: DeviceSettings, fn: PciFunction, unit: WatchedUnit | undefined) {
    this.settings = settings;
    this.fn = fn;
    this.#unit = unit;
    this.pci = this.#discover();
    const vectors = Math.max(settings.msi, settings.msix);
    for (let vector = 0; vector < vectors; vector++)
      this.sources.push(new InterruptSource(settings.name, vector));
    this.powerUp();
  }

  losePower(): void {
    this.fn.reset();
  }

  /** Firmware, or the kernel, has the function decode its BARs and send. */
  powerUp(): void {
    this.fn.writeConfig(configOffset.commandStatus, 2, command.MSE_MASK | command.BME_MASK);
  }

  #discover(): PciDevice {
    const { at, alias } = this.settings;
    return new PciDevice({
      name: `0000:${printRequester(at)}`,
      requester: at,
      access: this.fn,
      ...(alias !== undefined && { aliases: [alias] }),
    });
  }

  /** Another kernel finds the device: what the one before knew of it is gone, and the function is as it was. */
  forget(): void {
    this.pci = this.#discover();
  }

  /** How many vectors its driver has enabled, of whatever kernel: what the function goes on raising after a crash. */
  enabled = 0;
  /** Interrupts that it sent with a message that the kernel did not give it, and that no unit looked at. */
  hijacked = 0;

  get name(): string {
    return this.settings.name;
  }

  /** The function raises a vector. @returns whether a message left it. */
  raise(vector: number): boolean {
    const source = this.sources[vector]!;
    const unit = this.#unit;
    source.raise();
    if (unit !== undefined) unit.last = Outcome.passed;
    const sent = this.fn.signal(vector) === Signal.sent;
    if (unit !== undefined && unit.last === Outcome.blocked) source.refuse();
    else if (sent && (unit === undefined || unit.last === Outcome.passed) && !this.#sendsAsTold(vector)) {
      // Nothing stands between what somebody else wrote into the table and the CPUs.
      source.refuse();
      this.hijacked++;
    }
    return sent;
  }

  /** Whether the function has the message that the kernel gave it. */
  #sendsAsTold(vector: number): boolean {
    const told = this.pci.msi?.descriptors.find(({ index }) => index === vector)?.message;
    const { msix } = this.fn;
    if (told === undefined || msix === undefined) return true;
    const at = msixEntryBytes * vector;
    return msix.readTable(at) === told.addressLow >>> 0 && msix.readTable(at + 8) === told.data >>> 0;
  }
}
