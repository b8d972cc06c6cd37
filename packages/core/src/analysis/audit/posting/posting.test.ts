import { describe, expect, test } from "vitest";
import type { TestHost } from "../../host/testing/test-host.ts";
import { audit } from "../audit.ts";
import { foundIn, soundAmd, soundIntel } from "../testing/sound-host.ts";

const descriptor = 0x1_2345_6740n;

/** A host whose network card posts its first vector to the vCPU of a machine; the descriptor is what is given. */
function posting(fields: Parameters<TestHost["machine"]>[2] = {}): TestHost {
  return soundIntel()
    .posted(8, { sid: 0x0100, vv: 0x41, pda: descriptor })
    .machine("4711", [descriptor], { ndst: 0x200, ...fields });
}

/** The same, with the machine's end of the interrupt. */
function bound(host: TestHost): TestHost {
  return host.with((draft) => {
    const [machine] = draft.machines;
    machine!.irqfds = host.fact([{ gsi: 24, irq: 40, message: { address: 0xfee0_0000n, data: 0x41 } }]);
  });
}

describe("a posted interrupt", () => {
  test("that goes to the descriptor of a vCPU gives no finding", () => {
    expect(foundIn(bound(posting()).finish())).toEqual([]);
  });

  test("that goes to memory of nobody is found", () => {
    const host = posting().posted(8, { sid: 0x0100, vv: 0x41, pda: 0x7_0000n });
    expect(foundIn(host.finish())).toEqual(["audit.post.live-descriptor: entry 8 of dmar0"]);
  });

  test("that goes to the descriptor of a machine that is gone is found", () => {
    const host = posting().with((draft) => draft.machines.splice(0));
    expect(foundIn(host.finish())).toEqual(["audit.post.live-descriptor: entry 8 of dmar0"]);
  });

  test("is not judged where the machines are not known", () => {
    const host = soundIntel().posted(8, { sid: 0x0100, vv: 0x41, pda: descriptor });
    host.with((draft) => (draft.system.modules = host.fact(new Set(["kvm_intel"]))));
    const { findings, notChecked } = audit(host.finish());
    expect(findings).toEqual([]);
    expect(notChecked).toContainEqual({
      rule: "audit.post.live-descriptor",
      missing: ["virtual machines and their posted-interrupt descriptors"],
      partly: false,
    });
  });

  test.each([
    ["a reserved bit set", { nv: 0xf2 }, 1n << 260n, "vtd.pid.reserved"],
    ["a destination in the wrong byte", { nv: 0xf2, ndst: 0x201 }, 0n, "vtd.pid.xapic-destination"],
    ["another vector", { nv: 0x31 }, 0n, "audit.post.vector"],
    ["the vector of the host's own", { nv: 0xeb }, 0n, "audit.post.vector"],
    ["a processor that there is not", { nv: 0xf2, ndst: 0x900 }, 0n, "audit.post.destination"],
    ["interrupts that nobody was told of", { nv: 0xf2, pir: 1n << 65n }, 0n, "audit.post.unannounced"],
  ])("is found by one rule where its descriptor has %s", (_what, fields, more, rule) => {
    const host = posting(fields);
    host.with((draft) => {
      const one = draft.descriptor(descriptor, draft.finish().descriptors[0]!.owner);
      one.value = host.fact(one.value!.value | more);
    });
    expect(foundIn(host.finish())).toEqual([`${rule}: the descriptor of vCPU 0 of 4711`]);
  });

  test.each([
    ["halted", { nv: 0xf1 }],
    ["preempted, with interrupts that wait", { sn: 1, pir: 4n }],
    ["preempted, its processor gone since", { sn: 1, ndst: 0x900 }],
    ["about to take interrupts in", { on: 1, pir: 4n }],
  ])("is in order while its vCPU is %s", (_what, fields) => {
    expect(foundIn(posting(fields).finish())).toEqual([]);
  });

  test("is found where the descriptor's processor is offline", () => {
    const host = posting({ ndst: 0x000 });
    host.with((draft) => (draft.processor(0).online = host.fact(false)));
    expect(foundIn(host.finish())).toEqual(["audit.post.destination: the descriptor of vCPU 0 of 4711"]);
  });

  test("is found where a descriptor is not aligned", () => {
    const host = soundIntel().machine("4711", [descriptor + 8n], { ndst: 0x200 });
    expect(foundIn(host.finish())).toEqual(["audit.post.alignment: the descriptor of vCPU 0 of 4711"]);
  });
});

function plain(): TestHost {
  return bound(soundIntel().machine("4711", [descriptor], { ndst: 0x200 }));
}

describe("an interrupt of a passed-through function that is not posted", () => {
  test("is worth knowing", () => {
    expect(audit(plain().finish()).findings).toMatchObject([
      { rule: "linux.kvm.not-posted", severity: "info", subject: { name: "irq 40" } },
    ]);
  });

  test.each([
    [
      "the unit",
      (host: TestHost) => host.with((draft) => (draft.vtdUnit("dmar0").capability = host.fact(0n))),
      "dmar0 cannot post: CAP.PI is 0",
    ],
    [
      "the module",
      (host: TestHost) =>
        host.with((draft) => void draft.system.parameters.set("kvm_intel.enable_apicv", host.fact("N"))),
      "kvm_intel.enable_apicv is N",
    ],
    [
      "the command line",
      (host: TestHost) => host.with((draft) => (draft.system.commandLine = host.fact("intremap=nopost"))),
      "intremap=nopost",
    ],
    [
      "the machine",
      (host: TestHost) => host.with((draft) => (draft.machines[0]!.inhibited = host.fact(4n))),
      "APICv is inhibited for the machine: reasons 0x4",
    ],
  ])("says what stands in the way: %s", (_what, change, evidence) => {
    const host = plain();
    change(host);
    const finding = audit(host.finish()).findings.find(({ rule }) => rule === "linux.kvm.not-posted")!;
    expect(finding.evidence.map(({ what }) => what)).toContain(evidence);
  });
});

describe("a guest-mode entry of AMD-Vi", () => {
  test("that posts to the page of a vCPU gives no finding", () => {
    const host = soundAmd()
      .guest(0x0100, 0, { vector: 0x41, root: 0x8000n, isrun: 1, dest: 1 })
      .machine("1", [0x8000n]);
    expect(foundIn(host.finish())).toEqual([]);
  });

  test("that posts to memory of nobody is found", () => {
    const host = soundAmd()
      .guest(0x0100, 0, { vector: 0x41, root: 0x9000n, isrun: 1, dest: 1 })
      .machine("1", [0x8000n]);
    expect(foundIn(host.finish())).toEqual(["audit.post.live-descriptor: entry 0 of 01:00.0 at ivhd0"]);
  });
});
