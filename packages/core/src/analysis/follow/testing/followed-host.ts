import type { Draft } from "../../../evidence/host/draft.ts";
import type { VtdUnitState } from "../../../evidence/host/unit.ts";
import type { FollowedInterrupt } from "../following.ts";
import { follow } from "../follow.ts";
import { TestHost, vtdMessage } from "../../host/testing/test-host.ts";

/** ECAP of QEMU: remapping, and nothing that demands it. */
export const extendedCapability: bigint = 0xf0_0f5an;

/** 00:03.0 with MSI-X, whose vector 1 is irq 27 and goes through entry 21 to CPU 2 as vector 24h. */
export function host(): TestHost {
  const test = new TestHost();
  const msix = test.fact({ enabled: true, masked: false, available: 4, bar: 1, offset: 0 });
  return test
    .cpus(4)
    .vtd()
    .device("00:03.0", { msix })
    .with((draft) => {
      const unit = draft.vtdUnit("dmar0");
      unit.capability = test.fact((1n << 59n) | (0x22n << 24n));
      unit.extendedCapability = test.fact(extendedCapability);
      draft.interrupt(27).vector = test.fact({ vector: 0x24, cpu: 2 });
    })
    .remapped(21, { v: 0x24, sid: 0x18, dst: 0x200 })
    .irq(27, { device: "00:03.0", vector: 1, message: vtdMessage(21), actions: ["nic-1"], masked: false });
}

/** The unit of such a host. */
export function unitOf(test: TestHost): Draft<VtdUnitState> {
  return test.draft.vtdUnit("dmar0");
}

/** The one interrupt that a subject names. */
export function one(test: TestHost, subject = "irq 27"): FollowedInterrupt {
  const found = follow(test.finish(), subject);
  if (found.kind === "vcpu" || found.interrupts.length !== 1) throw new Error("one interrupt was expected");
  return found.interrupts[0]!;
}
