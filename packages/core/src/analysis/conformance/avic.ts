import { avicLogicalEntry, avicPhysicalEntry } from "../../spec/apic/avic.ts";
import { apicRegisters, interruptCommand } from "../../spec/apic/local-apic.ts";
import { AvicBench } from "./avic-bench.ts";
import { layoutValue } from "./fields.ts";
import { vectors } from "./message.ts";
import { count, flag, hex, keyOf, list, mapped, oneOf, record, small, table } from "../../spec/shape.ts";
import { action, eachOf, state, subject } from "./subject.ts";

const id = small(12);
const vector = small(8);
const register = keyOf(apicRegisters);
const physical = table(id, layoutValue(avicPhysicalEntry));
const one = record({ vcpu: id }, {});

const setup = record(
  { physical },
  {
    mode: oneOf("xavic", "x2avic", "x2avicExtended"),
    maximumIndex: id,
    physicalAddressBits: small(6),
    logical: table(id, layoutValue(avicLogicalEntry)),
    registers: table(id, table(register, small(32))),
  },
);

/** Cases of AVIC: IPIs through its tables, doorbells, what a virtual processor takes. */
export const avic = subject({
  profiles: new Map([["avic-strict", null]]),
  strict: "avic-strict",
  setup,
  build: (machine) => new AvicBench(machine),
  actions: {
    ipi: action(record({ vcpu: id, icr: layoutValue(interruptCommand) }, {}), (bench: AvicBench, c) =>
      bench.ipi(c.vcpu, c.icr),
    ),
    physical: action(physical, (bench: AvicBench, some) => bench.setPhysical(some)),
    post: action(record({ vcpu: id, vector }, { trigger: oneOf("edge", "level") }), (bench: AvicBench, p) =>
      bench.post(p.vcpu, p.vector, p.trigger ?? "edge"),
    ),
    enter: action(one, (bench: AvicBench, { vcpu }) => bench.enter(vcpu)),
    leave: action(one, (bench: AvicBench, { vcpu }) => bench.leave(vcpu)),
    doorbell: action(one, (bench: AvicBench, { vcpu }) => bench.doorbell(vcpu)),
    deliver: action(one, (bench: AvicBench, { vcpu }) => bench.deliver(vcpu)),
    eoi: action(one, (bench: AvicBench, { vcpu }) => bench.eoi(vcpu)),
    write: action(record({ vcpu: id, register, value: small(32) }, {}), (bench: AvicBench, w) =>
      bench.write(w.vcpu, w.register, w.value),
    ),
  },
  happenings: {
    exit: record({ code: count }, { index: hex(12) }),
    doorbells: list(hex(12)),
    vector: hex(8),
    unaccelerated: hex(8),
    lost: flag,
  },
  states: {
    vcpus: state(
      mapped(hex(12), record({}, { irr: vectors, isr: vectors, ppr: hex(8), recognised: flag })),
      (bench: AvicBench, asked) => eachOf(asked, (at) => bench.look(at)),
    ),
  },
});
