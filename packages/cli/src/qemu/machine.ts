import { InputError, type Vendor } from "@intremap/core";
import { Board } from "./board.ts";
import { Child } from "./child.ts";
import { configAddress, driverMemory, hex, marker } from "./places.ts";
import { Qmp } from "./qmp.ts";
import { Qtest } from "./qtest.ts";
import { TraceReader, tracedEvents } from "./trace.ts";
import type { UnitSide } from "./unit-side.ts";
import { amdviSide } from "./unit-amdvi.ts";
import { vtdSide } from "./unit-vtd.ts";
import { finalWait } from "./vtd-queue.ts";
import type { QemuVersion } from "./version.ts";

export const processors = 4;
const firstSocket = 3;
const eimFrom = 8;
const pageBytes = 4096;
const resetByChipset = "outb 0xcf9 0x6";
const peripheralClass = 0x08_0600;
const msiCapability = 5;
const ignoredLines = /^(qemu|.*warning:)/;

const sides: Readonly<Record<Vendor, UnitSide>> = { intel: vtdSide, amd: amdviSide };

/** A QEMU that runs: its processors stand still, and everything is done to it through its test protocol. */
export class Machine {
  readonly vendor: Vendor;
  readonly side: UnitSide;
  readonly board: Board;
  readonly qtest: Qtest;
  readonly trace: TraceReader;
  /** Registers as they are after reset. */
  initial: Buffer = Buffer.alloc(0);
  /** AMD: where the MSI capability of the unit's own function stands. */
  ownCapability = 0;
  readonly #name: string;
  readonly #child: Child;
  readonly #qmp: Qmp;

  private constructor({ path, name, major }: QemuVersion, vendor: Vendor, patience: number) {
    this.vendor = vendor;
    this.side = sides[vendor];
    this.board = new Board(vendor);
    this.#name = `${path}: ${name}`;
    const unit = vendor === "amd" ? "amd-iommu" : `intel-iommu${major >= eimFrom ? ",eim=on" : ""}`;
    const args = [
      ["-accel", "tcg,thread=single", "-S", "-machine", "q35,kernel-irqchip=off"],
      ["-smp", String(processors), "-m", "1024", "-nodefaults", "-no-user-config", "-display", "none"],
      ["-chardev", `socket,id=qtest,fd=${firstSocket}`, "-qtest", "chardev:qtest", "-qtest-log", "none"],
      ["-chardev", `socket,id=monitor,fd=${firstSocket + 1}`, "-mon", "chardev=monitor,mode=control"],
      ["-device", `${unit},intremap=on`],
      this.board.args,
      ...tracedEvents.map((event) => ["-trace", event]),
    ].flat();
    this.#child = new Child(path, args, {
      name: this.#name,
      sockets: 2,
      onEnd: (reason) => this.#fail(reason),
    });
    this.trace = new TraceReader((line) => {
      if (ignoredLines.test(line)) this.#child.remember(line);
    });
    const [qtest, monitor] = this.#child.sockets;
    const options = { name: this.#name, patience, onFailure: (reason: InputError) => this.#fail(reason) };
    this.qtest = new Qtest(qtest!, options);
    this.#qmp = new Qmp(monitor!, options);
  }

  /**
   * Starts a QEMU and brings up what scripts act through.
   * @param patience milliseconds without an answer after which it is taken to hang.
   * @throws InputError when it does not start, dies, hangs, or answers what is no answer.
   */
  static async start(version: QemuVersion, vendor: Vendor, patience: number): Promise<Machine> {
    const machine = new Machine(version, vendor, patience);
    try {
      await machine.#bringUp();
      await machine.#checkTrace();
      await machine.#lookRound();
      return machine;
    } catch (error) {
      machine.stop();
      throw error;
    }
  }

  /** Resets the whole machine; some of the unit's state stays as it is. */
  async reset(): Promise<void> {
    // It happens once the answer is out, before the next command is read.
    await this.qtest.exchange([resetByChipset]);
    await this.#bringUp();
    this.readTrace();
    this.trace.scenes.length = 0;
  }

  /** Reads what has been traced so far. */
  readTrace(): void {
    for (const piece of this.#child.log.read()) this.trace.feed(piece);
    if (!this.qtest.busy) this.#child.log.trim();
  }

  /** Vectors in IRR of each processor. */
  async requests(): Promise<number[][]> {
    const commands = Array.from({ length: processors }, (_, id) => `info lapic ${id}`);
    return (await this.#qmp.human(commands)).map((text, id) => {
      const line = /^IRR\s+(.*)$/m.exec(text);
      if (line === null) throw this.confused(`"info lapic ${id}" shows no IRR`);
      return [...line[1]!.matchAll(/\d+/g)].map(Number);
    });
  }

  /** What is to be said when it does what cannot be. */
  confused(how: string): InputError {
    return new InputError(`${this.#name}: ${how}`);
  }

  /** Ends it. */
  stop(): void {
    this.#child.stop();
  }

  #fail(reason: InputError): void {
    this.qtest.fail(reason);
    this.#qmp.fail(reason);
    this.stop();
  }

  async #bringUp(): Promise<void> {
    await this.board.bringUp(this.qtest, Buffer.alloc(pageBytes, finalWait()));
    const { base } = this.side;
    if (this.vendor !== "amd") return;
    await this.qtest.exchange([`writeq ${hex(base)} ${hex(driverMemory.emptyTable)}`]);
    this.ownCapability = await this.#findOwnCapability();
    const at = this.ownCapability;
    if (at === 0) throw this.confused("its AMD IOMMU has no message of its own");
    await this.qtest.exchange([
      `writel ${hex(at + 4)} ${hex(driverMemory.bell)}`,
      `writel ${hex(at + 8)} 0x0`,
      `writel ${hex(at + 12)} 0x1`,
      `writeb ${hex(at + 2)} 0x1`,
    ]);
  }

  /** A QEMU can be built without traces in its log, and then shows nothing. */
  async #checkTrace(): Promise<void> {
    await this.qtest.exchange([`readl ${hex(marker)}`]);
    this.readTrace();
    if (this.trace.scenes.length === 0)
      throw new InputError(
        `${this.#name}: writes no trace events; it must be built with the "log" trace backend`,
      );
    this.trace.scenes.length = 0;
  }

  async #lookRound(): Promise<void> {
    const { base, registerBytes } = this.side;
    const [text = ""] = await this.qtest.exchange([`b64read ${hex(base)} ${hex(registerBytes)}`]);
    this.initial = Buffer.from(text, "base64");
  }

  async #findOwnCapability(): Promise<number> {
    for (let device = 0; device < 32; device++) {
      const config = (register: number): number => configAddress(0, device << 3, register);
      if ((await this.#read(config(8))) >>> 8 !== peripheralClass) continue;
      let at = (await this.#read(config(0x34))) & 0xff;
      for (let left = 16; at !== 0 && left > 0; left--) {
        const header = await this.#read(config(at));
        if ((header & 0xff) === msiCapability) return config(at);
        at = (header >>> 8) & 0xff;
      }
    }
    return 0;
  }

  async #read(address: number): Promise<number> {
    const [text = ""] = await this.qtest.exchange([`readl ${hex(address)}`]);
    return Number(text);
  }
}
