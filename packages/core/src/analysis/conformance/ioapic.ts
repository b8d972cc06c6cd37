import { ioapicRte, ioapicRteAmd, ioapicRteExtended, ioapicRteRemappable } from "../../spec/apic/ioapic.ts";
import type { Layout } from "../../spec/layout.ts";
import { IoApic } from "../../hardware/ioapic.ts";
import { RecordingFabric } from "../../hardware/recording-fabric.ts";
import { asExpected, expectedValue, formed } from "./fields.ts";
import { collect, messages } from "./message.ts";
import { amount, bit, either, hex, hexOf, isText, mapped, record, small, table } from "../../spec/shape.ts";
import { type Happenings, action, state, subject } from "./subject.ts";

const pin = small(7);
const tableStart = 0x10;

const forms = {
  compatibility: ioapicRte,
  remappable: ioapicRteRemappable,
  extended: ioapicRteExtended,
  amd: ioapicRteAmd,
} as const satisfies Record<string, Layout>;

/** A redirection entry: hex, or the fields of one of its forms. */
const rte = either(isText, amount(64), (value, place) => formed(forms)(value, place)[1]);

const rtes = table(pin, rte);
const setup = record({}, { pins: small(7), version: small(8), rtes });
type Setup = ReturnType<typeof setup>;

interface Profile {
  readonly levelClear: boolean;
}

class IoApicBench {
  readonly #fabric = new RecordingFabric();
  readonly #ioapic: IoApic;

  constructor({ pins = 24, version = 0x20, rtes: entries = [] }: Setup, { levelClear }: Profile) {
    this.#ioapic = new IoApic({ fabric: this.#fabric, requester: 0xf0f8, pins, version, levelClear });
    for (const [at, value] of entries) this.writeEntry(at, value);
    collect(this.#fabric);
  }

  #during(act: () => void): Happenings {
    act();
    return collect(this.#fabric);
  }

  setPin(at: number, level: 0 | 1): Happenings {
    return this.#during(() => this.#ioapic.setPin(at, level));
  }

  pulse(at: number): Happenings {
    return this.#during(() => this.#ioapic.pulse(at));
  }

  eoi(vector: number): Happenings {
    return this.#during(() => this.#ioapic.eoiBroadcast(vector));
  }

  /** A dword write to a memory-mapped register. */
  write(offset: number, value: number): Happenings {
    return this.#during(() => this.#ioapic.write(offset, value | 0));
  }

  read(offset: number): Happenings {
    return { value: hexOf(this.#ioapic.read(offset) >>> 0) };
  }

  /** Both halves of an entry, the high one first. */
  writeEntry(at: number, value: bigint): Happenings {
    return this.#during(() => {
      this.#ioapic.writeRegister(tableStart + 2 * at + 1, Number(BigInt.asIntN(32, value >> 32n)));
      this.#ioapic.writeRegister(tableStart + 2 * at, Number(BigInt.asIntN(32, value)));
    });
  }

  entry(at: number): bigint {
    return this.#ioapic.entry(at);
  }
}

/** Cases of an I/O APIC that no remapping unit stands behind: what it puts on the bus. */
export const ioapic = subject({
  profiles: new Map<string, Profile>([
    ["ioapic-strict", { levelClear: false }],
    ["ioapic-qemu", { levelClear: true }],
  ]),
  strict: "ioapic-strict",
  setup,
  build: (machine, profile) => new IoApicBench(machine, profile),
  actions: {
    pin: action(record({ pin, level: bit }, {}), (bench: IoApicBench, one) =>
      bench.setPin(one.pin, one.level),
    ),
    pulse: action(record({ pin }, {}), (bench: IoApicBench, one) => bench.pulse(one.pin)),
    eoi: action(record({ vector: small(8) }, {}), (bench: IoApicBench, one) => bench.eoi(one.vector)),
    write: action(record({ offset: small(8), value: small(32) }, {}), (bench: IoApicBench, one) =>
      bench.write(one.offset, one.value),
    ),
    read: action(record({ offset: small(8) }, {}), (bench: IoApicBench, one) => bench.read(one.offset)),
    rte: action(record({ pin, value: rte }, {}), (bench: IoApicBench, one) =>
      bench.writeEntry(one.pin, one.value),
    ),
  },
  happenings: { messages, value: hex(32) },
  states: {
    rtes: state(mapped(hex(7), expectedValue(ioapicRte)), (bench: IoApicBench, asked) =>
      Object.fromEntries(
        Object.entries(asked).map(([at, expected]) => [
          at,
          asExpected(ioapicRte, bench.entry(Number(at)), expected),
        ]),
      ),
    ),
  },
});
