import type { AmdviUnit } from "../hardware/amdvi/unit.ts";
import type { Memory } from "../hardware/memory.ts";
import { commandBytes } from "../spec/amdvi/commands.ts";
import { registers, ringBase, ringPointer } from "../spec/amdvi/registers.ts";
import { encode, toWords } from "../spec/codec.ts";

/** The smallest command buffer: one page. */
const length = 8;
const ringBytes = 2 ** (length + 4);

/** A command buffer through which an AMD-Vi unit is handed commands one by one. */
export class CommandRing {
  readonly #unit: AmdviUnit;
  readonly #memory: Memory;
  readonly #base: number;
  #tail = 0;

  /** @param base a page that nothing else uses. */
  constructor(unit: AmdviUnit, memory: Memory, base: number) {
    this.#unit = unit;
    this.#memory = memory;
    this.#base = base;
    unit.write(registers.CMD_BUF_BASE.offset, 64, encode(ringBase, { base, length }));
  }

  /** Has the unit, whose command buffer is on, execute a command. */
  execute(command: bigint): void {
    this.#memory.writeWords(this.#base + this.#tail, toWords(command, commandBytes * 8));
    this.#tail = (this.#tail + commandBytes) % ringBytes;
    this.#unit.write(registers.CMD_BUF_TAIL.offset, 64, encode(ringPointer, { pointer: this.#tail }));
  }
}
