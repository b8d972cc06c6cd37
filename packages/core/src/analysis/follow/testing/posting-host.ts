import type { Vcpu } from "../../../evidence/host/virtual-machine.ts";
import { encode } from "../../../spec/codec.ts";
import { postedDescriptor } from "../../../spec/vtd/irte.ts";
import { TestHost, vtdMessage } from "../../host/testing/test-host.ts";
import type { FollowedInterrupt } from "../following.ts";
import { one as oneOf } from "./followed-host.ts";

/** Where the descriptor of vCPU 0 lies. */
export const descriptor: bigint = 0x1240n;
/** CAP with PI. */
export const capability: bigint = (1n << 59n) | (0x22n << 24n);

type Fields = Parameters<typeof encode<keyof (typeof postedDescriptor)["fields"]>>[1];

/** An interrupt that is posted as vector 51h to vCPU 0 of VM 4711, whose descriptor has these fields. */
export function posting(fields: Fields, vcpu: Partial<Vcpu> = {}): TestHost {
  const host = new TestHost().cpus(4).vtd().device("01:00.0");
  const unit = host.draft.vtdUnit("dmar0");
  unit.capability = host.fact(capability);
  unit.extendedCapability = host.fact(0xf0_0f5an);
  host.machine("4711", [descriptor]);
  host.draft.descriptor(descriptor, host.fact({ kind: "cpu", cpu: 0 })).value = host.fact(
    encode(postedDescriptor, { nv: 0xf2, ndst: 0x200, ...fields }),
  );
  Object.assign(host.draft.machines[0]!.vcpus[0]!, vcpu);
  host.device("01:00.0", { config: host.fact(rootConfig()) });
  return host
    .posted(30, { vv: 0x51, sid: 0x100, pda: descriptor })
    .irq(50, { device: "01:00.0", message: vtdMessage(30), actions: ["vfio-msix[0](0000:01:00.0)"] });
}

/** Configuration space of a function that may write to memory. */
export function rootConfig(): Uint8Array {
  const config = new Uint8Array(256);
  config[4] = 6;
  return config;
}

/** The one interrupt of such a host, or the one that a subject names. */
export function one(test: TestHost, subject = "irq 50"): FollowedInterrupt {
  return oneOf(test, subject);
}

/** The owner of the descriptor as `machine` of the test host has it. */
export function ownedByVcpu(host: TestHost): TestHost {
  const entry = host.draft.descriptor(descriptor, host.fact({ kind: "cpu", cpu: 0 }));
  entry.owner = host.fact({ kind: "vcpu", machine: "4711", vcpu: 0 });
  return host;
}
