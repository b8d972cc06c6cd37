import { configOffset } from "../../spec/pci/config-header.ts";
import { msixEntryBytes } from "../../spec/pci/msix.ts";
import { Memory } from "../../hardware/memory.ts";
import { PciFunction } from "../../hardware/pci/function.ts";
import type { MsiOptions } from "../../hardware/pci/msi.ts";
import { RootComplex } from "../../hardware/pci/root-complex.ts";
import { Signal } from "../../hardware/pci/signal.ts";
import { RecordingFabric } from "../../hardware/recording-fabric.ts";
import { collect, messages } from "./message.ts";
import { ShapeError, bit, count, flag, hex, hexOf, oneOf, record, small } from "../../spec/shape.ts";
import { type Happenings, action, state, subject } from "./subject.ts";

const tableBar = 0;
const pbaOffset = 0x8000;
const barSize = 0x1_0000;
const signalNames = ["sent", "pending", "disabled", "unallocated", "lost"] as const satisfies Record<
  Signal,
  string
>;

const setup = record(
  {},
  {
    /** Initial value of the Command register; memory space and bus mastering unless told. */
    command: small(16),
    msi: record({ vectors: count }, { wide: bit, masking: bit }),
    msix: record({ vectors: count }, {}),
    interruptPin: count,
  },
);
type Setup = ReturnType<typeof setup>;

const counts = [1, 2, 4, 8, 16, 32] as const;

class PciBench {
  readonly #fabric = new RecordingFabric();
  readonly #function: PciFunction;
  readonly #intx: boolean[] = [];

  constructor({ command = 6, msi, msix, interruptPin = 0 }: Setup) {
    const root = new RootComplex({ memory: new Memory(), fabric: this.#fabric });
    this.#function = new PciFunction({
      requester: 0x18,
      root,
      vendor: 0x1af4,
      device: 0x1041,
      bars: [{ index: tableBar, size: barSize }],
      ...(msi === undefined ? {} : { msi: msiOptions(msi) }),
      ...(msix === undefined
        ? {}
        : {
            msix: {
              vectors: msix.vectors,
              table: { bar: tableBar, offset: 0 },
              pba: { bar: tableBar, offset: pbaOffset },
            },
          }),
      interruptPin: Math.min(interruptPin, 4) as 0 | 1 | 2 | 3 | 4,
      intx: (asserted) => this.#intx.push(asserted),
    });
    this.config(configOffset.commandStatus, 2, command);
  }

  #during(act: () => Happenings | void): Happenings {
    const result = act() ?? {};
    const intx = this.#intx.splice(0).at(-1);
    return { ...result, ...collect(this.#fabric), ...(intx === undefined ? {} : { intx }) };
  }

  config(offset: number, width: 1 | 2 | 4, value: number): Happenings {
    return this.#during(() => this.#function.writeConfig(offset, width, value | 0));
  }

  readConfig(offset: number, width: 1 | 2 | 4): Happenings {
    return { value: hexOf(this.#function.readConfig(offset, width) >>> 0) };
  }

  bar(offset: number, width: 1 | 2 | 4, value: number): Happenings {
    return this.#during(() => this.#function.writeBar(tableBar, offset, width, value | 0));
  }

  readBar(offset: number, width: 1 | 2 | 4): Happenings {
    return { value: hexOf(this.#function.readBar(tableBar, offset, width) >>> 0) };
  }

  entry(vector: number, address: number, data: number, mask: 0 | 1): Happenings {
    return this.#during(() => {
      [address, 0, data, mask].forEach((word, i) => {
        this.#function.writeBar(tableBar, msixEntryBytes * vector + 4 * i, 4, word | 0);
      });
    });
  }

  signal(vector: number): Happenings {
    return this.#during(() => ({ signal: signalNames[this.#function.signal(vector)] }));
  }

  withdraw(vector: number): Happenings {
    return this.#during(() => this.#function.withdraw(vector));
  }

  setIntx(wanted: boolean): Happenings {
    return this.#during(() => this.#function.setIntx(wanted));
  }

  /** The first dword of the Pending Bit Array. */
  get pending(): string {
    return hexOf(this.#function.readBar(tableBar, pbaOffset, 4) >>> 0);
  }
}

function msiOptions({ vectors, wide = 1, masking = 0 }: NonNullable<Setup["msi"]>): MsiOptions {
  const known = counts.find((one) => one === vectors);
  if (known === undefined)
    throw new ShapeError("setup.msi.vectors", `${vectors}, expected ${counts.join(", ")}`);
  return { vectors: known, wide: wide === 1, masking: masking === 1 };
}

const width = (value: unknown, place: string): 1 | 2 | 4 => {
  const bytes = count(value, place);
  if (bytes === 1 || bytes === 2 || bytes === 4) return bytes;
  throw new ShapeError(place, `${bytes}, expected 1, 2 or 4`);
};

const at = { offset: small(16), width };

/** Cases of MSI and MSI-X: masks, pending bits, allocation. The first capability stands at offset 40h. */
export const pci = subject({
  profiles: new Map([["pci-strict", null]]),
  strict: "pci-strict",
  setup,
  build: (machine) => new PciBench(machine),
  actions: {
    config: action(record({ ...at, value: small(32) }, {}), (bench: PciBench, w) =>
      bench.config(w.offset, w.width, w.value),
    ),
    readConfig: action(record(at, {}), (bench: PciBench, r) => bench.readConfig(r.offset, r.width)),
    bar: action(record({ ...at, value: small(32) }, {}), (bench: PciBench, w) =>
      bench.bar(w.offset, w.width, w.value),
    ),
    readBar: action(record(at, {}), (bench: PciBench, r) => bench.readBar(r.offset, r.width)),
    entry: action(
      record({ vector: small(11), address: small(32), data: small(32) }, { mask: bit }),
      (bench: PciBench, e) => bench.entry(e.vector, e.address, e.data, e.mask ?? 0),
    ),
    signal: action(record({ vector: small(12) }, {}), (bench: PciBench, s) => bench.signal(s.vector)),
    withdraw: action(record({ vector: small(11) }, {}), (bench: PciBench, s) => bench.withdraw(s.vector)),
    intx: action(flag, (bench: PciBench, wanted) => bench.setIntx(wanted)),
  },
  happenings: { signal: oneOf(...signalNames), messages, intx: flag, value: hex(32) },
  states: { pending: state(hex(32), (bench: PciBench) => bench.pending) },
});
