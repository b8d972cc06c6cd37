import { interruptCommand } from "../../spec/apic/local-apic.ts";
import { pidPointer } from "../../spec/apic/vmx.ts";
import type { VmxControls } from "../../hardware/posting/vmx-settings.ts";
import { layoutValue } from "./fields.ts";
import { delivered, vectorSet, vectors } from "./message.ts";
import { descriptor, descriptorOf, descriptorState } from "./posted-descriptor.ts";
import {
  type Shape,
  bit,
  count,
  flag,
  hex,
  list,
  mapped,
  oneOf,
  record,
  small,
  table,
} from "../../spec/shape.ts";
import { action, eachOf, state, subject } from "./subject.ts";
import { VmxBench } from "./vmx-bench.ts";

const vector = small(8);
const nothing = record({}, {});

const controlName: Shape<keyof VmxControls> = oneOf(
  "externalInterruptExiting",
  "acknowledgeOnExit",
  "tprShadow",
  "virtualInterruptDelivery",
  "processPostedInterrupts",
  "ipiVirtualization",
  "x2apic",
);

const setup = record(
  {},
  {
    controls: table(controlName, bit),
    vtpr: small(8),
    rvi: vector,
    svi: vector,
    virr: list(vector),
    visr: list(vector),
    eoiExits: vectorSet,
    notificationVector: vector,
    interruptWindow: bit,
    descriptors: table(small(52), descriptor),
    pointers: table(small(16), layoutValue(pidPointer)),
    lastPointer: small(16),
    tprThreshold: small(4),
    hostX2apic: bit,
    physicalAddressBits: small(6),
  },
);

const command = record({ icr: layoutValue(interruptCommand) }, { wide: bit });
const half = (value: bigint): number => Number(BigInt.asIntN(32, value));

/** Cases of virtual-interrupt delivery, posted-interrupt processing and IPI virtualization. */
export const vmx = subject({
  profiles: new Map([["vmx-strict", null]]),
  strict: "vmx-strict",
  setup,
  build: (machine, profile, observer) => new VmxBench(machine, profile, observer),
  actions: {
    external: action(record({ vector }, {}), (bench: VmxBench, one) => bench.external(one.vector)),
    deliver: action(nothing, (bench: VmxBench) => bench.deliver()),
    enter: action(nothing, (bench: VmxBench) => bench.enter()),
    interruptWindow: action(bit, (bench: VmxBench, on) => bench.setInterruptWindow(on)),
    write: action(record({ offset: small(12), value: small(32) }, {}), (bench: VmxBench, one) =>
      bench.write(one.offset, one.value),
    ),
    ipi: action(command, (bench: VmxBench, { icr, wide = 0 }) =>
      bench.command(half(icr), half(icr >> 32n), wide === 1),
    ),
    softwarePost: action(record({ vector }, {}), (bench: VmxBench, one) => bench.softwarePost(one.vector)),
    softwareHarvest: action(nothing, (bench: VmxBench) => bench.softwareHarvest()),
  },
  happenings: {
    exit: record({ reason: count }, { qualification: hex(12), vector: hex(8) }),
    vector: hex(8),
    notify: flag,
    delivered,
  },
  states: {
    virtual: state(
      record({}, { rvi: hex(8), svi: hex(8), vppr: hex(8), recognised: flag, virr: vectors, visr: vectors }),
      (bench: VmxBench) => bench.look(),
    ),
    physical: state(record({}, { irr: vectors, isr: vectors }), (bench: VmxBench) => bench.lookPhysical()),
    descriptors: state(mapped(hex(52), descriptorState), (bench: VmxBench, asked) =>
      eachOf(asked, (at) => descriptorOf(bench.readDescriptor(at))),
    ),
  },
});
