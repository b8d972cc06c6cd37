import type { Vendor } from "@intremap/core";
import { type Moves, upload } from "./moves.ts";
import { configAddress, driverMemory, hex } from "./places.ts";
import type { Qtest } from "./qtest.ts";

/** Registers of configuration space. */
const register = {
  command: 0x04,
  bar0: 0x10,
  buses: 0x18,
  secondaryBus: 0x19,
  window: 0x20,
  msix: 0x40,
} as const;
const memoryAndMaster = 6;
export const busAtFirst = 1;
const msixEnable = 0x8000_0000;

const port = 0x10;
/** Where the port's window of addresses begins, and the distance of the functions in it. */
const window = 0xe000_0000;
const pitch = 0x4000;
const lastMegabyte = 0xe0f0;
const secondBar = 0x2000;

/** Of a function: where its MSI-X table stands, and the register whose write sends entry 0. */
const functionTable = secondBar;
const functionTrigger = 0x20;
const vectorControl = 0xc;
/** Of the controller that moves data: the register whose write starts a program. */
const startProgram = 0x2c;

const mover = 0x08;

/** Device and function numbers that can be requesters, on whatever bus. */
const functions: readonly number[] = [
  0x00, 0x18, 0x19, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36,
  0x37, 0x3c, 0x7f, 0x80, 0xa0, 0xa8, 0xcd, 0xf8, 0xff,
];

/** QEMU's AMD IOMMU has the address space of its I/O APIC here, which in 10.0 is of no size. */
const amdIoapic = 0xa0;

/** The low bytes of the requester ids that a machine of this vendor can send from. */
export function functionsFor(vendor: Vendor): readonly number[] {
  return functions.filter((one) => vendor === "intel" || one !== amdIoapic);
}

/**
 * The devices that scripts act through: functions that send any MSI at once, behind a root port whose bus is renumbered
 * as the requester asks for, and a controller that makes accesses from a list.
 */
export class Board {
  readonly #functions: readonly number[];
  readonly #bars: ReadonlyMap<number, number>;
  /** The register that starts a program. */
  readonly start: number;
  /** Where the number of the bus behind the root port is written, 8 bits. */
  readonly busNumber: number = configAddress(0, port, register.secondaryBus);

  constructor(vendor: Vendor) {
    this.#functions = functionsFor(vendor);
    this.#bars = new Map(this.#functions.map((one, i) => [one, window + i * pitch]));
    this.start = this.#moverBar + startProgram;
  }

  get #moverBar(): number {
    return window + this.#functions.length * pitch;
  }

  /** What QEMU is told on its command line. */
  get args(): string[] {
    return [
      ["-device", "pcie-root-port,id=behind,bus=pcie.0,addr=2.0,chassis=1"],
      ...this.#functions.map((one) => ["-device", `rocker,${addr(one)},multifunction=on,name=f${one}`]),
      ["-device", `lsi53c895a,${addr(mover)}`],
    ].flat();
  }

  /** Where a function's first MSI-X table entry stands; undefined if there is no such function. */
  table(functionNumber: number): number | undefined {
    const bar = this.#bars.get(functionNumber);
    return bar === undefined ? undefined : bar + functionTable;
  }

  /** The register of a function whose write, of 0, sends the first entry's message. */
  trigger(functionNumber: number): number {
    return this.#bars.get(functionNumber)! + functionTrigger;
  }

  /** Gives the controller its addresses, and writes what the driver keeps in memory. The functions come later, one by one. */
  async bringUp(qtest: Qtest, waits: Buffer): Promise<void> {
    const commands = [
      "outl 0xcf8 0x80000060",
      "outl 0xcfc 0xb0000001",
      "outl 0xcf8 0x80000064",
      "outl 0xcfc 0x0",
      `writel ${onPort(register.buses)} ${hex((busAtFirst << 16) | (busAtFirst << 8))}`,
    ];
    const moverBar = this.#moverBar;
    commands.push(
      `writel ${behind(mover, register.bar0 + 4)} ${hex(moverBar)}`,
      `writel ${behind(mover, register.bar0 + 8)} ${hex(moverBar + secondBar)}`,
      `writel ${behind(mover, register.command)} ${hex(memoryAndMaster)}`,
      `writel ${onPort(register.window)} ${hex(lastMegabyte * 0x1_0000 + (window >>> 16))}`,
      `writel ${onPort(register.command)} ${hex(memoryAndMaster)}`,
      upload(driverMemory.bytes, Buffer.from(Array.from({ length: 256 }, (_, i) => i))),
      upload(driverMemory.waits, waits),
    );
    await qtest.exchange(commands);
  }

  /** Gives a function its addresses, while the bus has its first number; done only for those that are used, as it is dear. */
  enable(functionNumber: number, moves: Moves): void {
    const bar = this.#bars.get(functionNumber)!;
    const config = (at: number): number => configAddress(busAtFirst, functionNumber, at);
    moves.put([bar, bar + secondBar], config(register.bar0));
    moves.put([msixEnable], config(register.msix));
    moves.put([memoryAndMaster], config(register.command));
    moves.copy(4, driverMemory.zeros, bar + functionTable + vectorControl);
  }
}

/** Where a function stands, on QEMU's command line. */
function addr(functionNumber: number): string {
  return `bus=behind,addr=${(functionNumber >> 3).toString(16)}.${functionNumber & 7}`;
}

function onPort(at: number): string {
  return hex(configAddress(0, port, at));
}

function behind(functionNumber: number, at: number): string {
  return hex(configAddress(busAtFirst, functionNumber, at));
}
