import {
  avicIncompleteIpi,
  avicLogicalEntry,
  avicLogicalEntryBytes,
  avicMaximumId,
  avicPhysicalEntry,
  avicPhysicalEntryBytes,
} from "../../spec/apic/avic.ts";
import { type ApicRegister, type ApicRegisterName, apicRegisters } from "../../spec/apic/local-apic.ts";
import { virtualApicStride } from "../../spec/apic/vmx.ts";
import { decode, toWords } from "../../spec/codec.ts";
import { Memory } from "../../hardware/memory.ts";
import { Avic, AvicProcessor, ipiComplete } from "../../hardware/posting/avic.ts";
import { VectorPage, group } from "../../hardware/posting/vector-page.ts";
import { vectorsIn } from "./message.ts";
import { ShapeError, type JsonObject, hexOf } from "../../spec/shape.ts";
import type { Happenings } from "./subject.ts";

const place = { physicalTable: 0x1_0000, logicalTable: 0x2_0000 } as const;
const groupWords = 8;

export interface AvicSetup {
  readonly mode?: keyof typeof avicMaximumId;
  readonly maximumIndex?: number;
  readonly physicalAddressBits?: number;
  /** Entries of the physical table, by guest APIC id. */
  readonly physical: readonly (readonly [number, bigint])[];
  readonly logical?: readonly (readonly [number, bigint])[];
  /** Registers in a guest's backing page, by guest APIC id. */
  readonly registers?: readonly (readonly [number, readonly (readonly [ApicRegisterName, number])[]])[];
}

/** The virtual processors of one guest under AVIC. */
export class AvicBench {
  readonly #memory = new Memory();
  readonly #doorbells: number[] = [];
  readonly #avic: Avic;
  readonly #processors = new Map<number, AvicProcessor>();

  constructor(setup: AvicSetup) {
    for (const [id, value] of setup.physical) this.#writePhysical(id, value);
    for (const [index, value] of setup.logical ?? []) {
      this.#memory.writeWords(
        place.logicalTable + avicLogicalEntryBytes * index,
        toWords(value, avicLogicalEntry.width),
      );
    }
    const { mode = "xavic", maximumIndex, physicalAddressBits } = setup;
    this.#avic = new Avic(this.#memory, {
      mode,
      ...place,
      ...(maximumIndex === undefined ? {} : { maximumIndex }),
      ...(physicalAddressBits === undefined ? {} : { physicalAddressBits }),
      doorbell: (host) => this.#doorbells.push(host),
    });
    for (const [id, value] of setup.physical) {
      const { v, backing } = decode(avicPhysicalEntry, value);
      if (v === 1) this.#processors.set(id, new AvicProcessor(new VectorPage(this.#memory, Number(backing))));
    }
    for (const [id, registers] of setup.registers ?? []) {
      for (const [name, value] of registers) this.#store(id, name, value);
    }
  }

  #writePhysical(id: number, value: bigint): void {
    this.#memory.writeWords(
      place.physicalTable + avicPhysicalEntryBytes * id,
      toWords(value, avicPhysicalEntry.width),
    );
  }

  #store(id: number, name: ApicRegisterName, value: number): void {
    const { offset }: ApicRegister = apicRegisters[name];
    this.#processor(id).page.write(offset!, value | 0);
  }

  #processor(id: number): AvicProcessor {
    const processor = this.#processors.get(id);
    if (processor === undefined)
      throw new ShapeError(`guest APIC ${hexOf(id)}`, "none of the setup's valid ones");
    return processor;
  }

  setPhysical(entries: readonly (readonly [number, bigint])[]): void {
    for (const [id, value] of entries) this.#writePhysical(id, value);
  }

  ipi(self: number, command: bigint): Happenings {
    const [low, high] = toWords(command, 64);
    const code = this.#avic.ipi(self, low!, high!);
    const doorbells = this.#doorbells.splice(0).map(hexOf);
    const indexed = code === avicIncompleteIpi.invalidTarget || code === avicIncompleteIpi.invalidBackingPage;
    return {
      ...(code === ipiComplete
        ? {}
        : { exit: { code, ...(indexed ? { index: hexOf(this.#avic.failedIndex) } : {}) } }),
      ...(doorbells.length === 0 ? {} : { doorbells }),
    };
  }

  /** Something else posts: another unit sets the IRR bit in the backing page. */
  post(id: number, vector: number, trigger: "edge" | "level"): void {
    const { page } = this.#processor(id);
    page.set(group.irr, vector);
    if (trigger === "level") page.set(group.tmr, vector);
  }

  enter(id: number): void {
    this.#processor(id).enter();
  }

  leave(id: number): void {
    this.#processor(id).inGuest = false;
  }

  doorbell(id: number): Happenings {
    return this.#processor(id).doorbell() ? {} : { lost: true };
  }

  deliver(id: number): Happenings {
    const vector = this.#processor(id).deliver();
    return vector < 0 ? {} : { vector: hexOf(vector) };
  }

  eoi(id: number): Happenings {
    const vector = this.#processor(id).eoi();
    return vector < 0 ? {} : { unaccelerated: hexOf(vector) };
  }

  write(id: number, name: ApicRegisterName, value: number): void {
    this.#store(id, name, value);
    this.#processor(id).evaluate();
  }

  look(id: number): JsonObject {
    const processor = this.#processor(id);
    const read = (start: number): string[] =>
      vectorsIn(
        Array.from({ length: groupWords }, (_, i) => processor.page.read(4 * start + virtualApicStride * i)),
      );
    return {
      irr: read(group.irr),
      isr: read(group.isr),
      ppr: hexOf(processor.priority()),
      recognised: processor.recognised,
    };
  }
}
