import { qemuApics } from "../../hardware/lapic/profile.ts";
import { type ApicRegisterName, apicRegisters, interruptCommand } from "../../spec/apic/local-apic.ts";
import type { FabricOptions } from "../../hardware/lapic/fabric.ts";
import { ApicBench } from "./apic-bench.ts";
import { layoutValue } from "./fields.ts";
import { deliveryMode, vectors } from "./message.ts";
import {
  type JsonObject,
  amount,
  bit,
  count,
  flag,
  hex,
  keyOf,
  list,
  mapped,
  oneOf,
  record,
  small,
  table,
  text,
} from "../../spec/shape.ts";
import { action, state, subject } from "./subject.ts";

const id = small(32);
const register = keyOf(apicRegisters);
const one = { apic: id };

const setup = record(
  {
    apics: list(
      record(
        { id },
        { mode: oneOf("xapic", "x2apic", "disabled"), enabled: bit, registers: table(register, amount(64)) },
      ),
    ),
  },
  { extendedDestination: bit, broadcastQuirk: bit },
);

const interrupt = record(
  { destination: id, vector: small(8) },
  { mode: oneOf("physical", "logical"), hint: bit, delivery: deliveryMode, trigger: oneOf("edge", "level") },
);

const localEntries = oneOf("cmci", "timer", "thermal", "performance", "lint0", "lint1", "error");

const apicState = record(
  {},
  {
    irr: vectors,
    isr: vectors,
    tmr: vectors,
    ppr: hex(8),
    events: list(text),
    registers: mapped(register, hex(64)),
  },
);

const profiles = new Map<string, FabricOptions>([
  ["apic-strict", {}],
  ["apic-kvm", { lowestPriority: "vector-hash", acceptIllegalVectors: true, narrowBroadcast: true }],
  ["apic-qemu", qemuApics],
]);

/** Cases of local APICs: acceptance, priorities, destinations, interprocessor interrupts. */
export const apic = subject({
  profiles,
  strict: "apic-strict",
  setup,
  build: (machine, profile, observer) => new ApicBench(machine, profile, observer),
  actions: {
    msi: action(record({ address: amount(64), data: small(32) }, {}), (bench: ApicBench, m) =>
      bench.message(m.address, m.data),
    ),
    interrupt: action(interrupt, (bench: ApicBench, i) => bench.interrupt(i)),
    write: action(record({ ...one, register, value: amount(64) }, {}), (bench: ApicBench, w) =>
      bench.write(w.apic, w.register, w.value),
    ),
    read: action(record({ ...one, register }, {}), (bench: ApicBench, r) => bench.read(r.apic, r.register)),
    readPage: action(record({ ...one, offset: small(12) }, {}), (bench: ApicBench, r) =>
      bench.readPage(r.apic, r.offset),
    ),
    writePage: action(record({ ...one, offset: small(12), value: small(32) }, {}), (bench: ApicBench, w) =>
      bench.writePage(w.apic, w.offset, w.value),
    ),
    rdmsr: action(record({ ...one, msr: small(32) }, {}), (bench: ApicBench, r) =>
      bench.readMsr(r.apic, r.msr),
    ),
    wrmsr: action(record({ ...one, msr: small(32), value: amount(64) }, {}), (bench: ApicBench, w) =>
      bench.writeMsr(w.apic, w.msr, w.value),
    ),
    ipi: action(record({ ...one, icr: layoutValue(interruptCommand) }, {}), (bench: ApicBench, c) =>
      bench.command(c.apic, c.icr),
    ),
    acknowledge: action(record(one, {}), (bench: ApicBench, a) => bench.acknowledge(a.apic)),
    eoi: action(record(one, {}), (bench: ApicBench, a) => bench.eoi(a.apic)),
    take: action(
      record({ ...one, kind: oneOf("nmi", "smi", "init", "extint", "startup") }, {}),
      (bench: ApicBench, t) => bench.take(t.apic, t.kind),
    ),
    local: action(record({ ...one, entry: localEntries }, {}), (bench: ApicBench, l) =>
      bench.local(l.apic, l.entry),
    ),
    tick: action(record({ ...one, ticks: count }, {}), (bench: ApicBench, t) => bench.tick(t.apic, t.ticks)),
    tsc: action(record({ ...one, value: amount(64) }, {}), (bench: ApicBench, t) =>
      bench.tsc(t.apic, t.value),
    ),
  },
  happenings: {
    accepted: list(hex(32)),
    broadcasts: list(hex(8)),
    vector: hex(8),
    value: hex(64),
    gp: flag,
    taken: flag,
  },
  states: {
    apics: state(mapped(hex(32), apicState), (bench: ApicBench, asked) =>
      Object.fromEntries(
        Object.entries(asked as JsonObject).map(([name, expected]) => {
          const wanted = (expected as JsonObject)["registers"] as JsonObject | undefined;
          return [name, bench.look(Number(name), Object.keys(wanted ?? {}) as ApicRegisterName[])];
        }),
      ),
    ),
  },
});
