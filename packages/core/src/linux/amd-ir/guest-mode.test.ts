import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Outcome } from "../../hardware/delivery.ts";
import { VectorPage, group } from "../../hardware/posting/vector-page.ts";
import { irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { decode, fromWords } from "../../spec/codec.ts";
import type { AmdPiData } from "../irq/chip.ts";
import { dataAt } from "../irq/hierarchy.ts";
import { irqSetAffinity, irqSetVcpuAffinity, requestIrq } from "../irq/manage.ts";
import { vectorConfig } from "../irq/vector.ts";
import type { Kernel, Release } from "../kernel.ts";
import { pageBytes } from "../pages.ts";
import { pciAllocIrqVectors, pciIrqVector } from "../pci/msi.ts";
import { enableIrX2apic } from "../remapping.ts";
import { type HostOptions, host, settle, withMsix } from "../testbed.ts";
import { irDataOf } from "./chip.ts";
import { amdIommuRegisterGaLogNotifier } from "./galog.ts";
import { type GuestPlace, updateGa } from "./guest-mode.ts";
import { amdRemapping } from "./remapping.ts";

const releases: readonly Release[] = ["5.4", "6.12", "7.0"];
const requester = 0x0100;
const away: GuestPlace = { apicId: -1, gaLogInterrupt: false };
const asleep: GuestPlace = { apicId: -1, gaLogInterrupt: true };

function boot(release: Release, options: HostOptions = {}) {
  const doorbells: number[] = [];
  const machine = host({ vendor: "amd", release, doorbell: (apicId) => doorbells.push(apicId), ...options });
  const { k } = machine;
  enableIrX2apic(k);
  const taken: number[] = [];
  const handler = (_k: Kernel, irq: number): "handled" => {
    taken.push(irq);
    return "handled";
  };
  const { device } = machine.plug(requester, withMsix(1));
  pciAllocIrqVectors(k, device, 1, 1, "msix");
  const irq = pciIrqVector(k, device, 0);
  requestIrq(k, irq, handler, "nic", device);
  const data = dataAt(k, irq, amdRemapping(k).iommus[0]!.domain!);
  const ir = irDataOf(data);
  const page = new VectorPage(k.memory, k.pages.allocate(pageBytes));
  const pi = (more: Partial<AmdPiData> = {}): AmdPiData => ({
    vendor: "amd",
    vapic: page.address,
    gaTag: 0x0000_1003,
    vector: 0x41,
    ...away,
    ...more,
  });
  const tags: number[] = [];
  amdIommuRegisterGaLogNotifier(k, (_k, gaTag) => {
    tags.push(gaTag);
    return 0;
  });
  return {
    ...machine,
    irq,
    data,
    ir,
    page,
    pi,
    tags,
    doorbells,
    taken,
    live: (): bigint => {
      const words = new Int32Array(4);
      k.memory.readWords(amdRemapping(k).segments[0]!.irqTables.get(requester)!.addressOf(ir.index), words);
      return fromWords(words, 0, 128);
    },
    send: (): Outcome => {
      const outcome = machine.amdvi.interrupt(ir.message.addressLow, ir.message.data, requester);
      settle(k, machine.cpus);
      return outcome;
    },
  };
}

describe.each(releases)("in %s an interrupt that KVM points at a virtual CPU", (release) => {
  test("goes into its backing page, and back to the host when it is taken away", () => {
    const { k, irq, pi, send, page, taken } = boot(release);
    expect(send()).toBe(Outcome.remapped);
    expect(irqSetVcpuAffinity(k, irq, pi())).toBe(0);
    expect(send()).toBe(Outcome.posted);
    expect(page.highest(group.irr)).toBe(0x41);
    expect(irqSetVcpuAffinity(k, irq, null)).toBe(0);
    expect(send()).toBe(Outcome.remapped);
    expect(taken).toEqual([irq, irq]);
  });

  test("keeps RemapEn, whichever it was", () => {
    const { k, irq, pi, live, data } = boot(release);
    irqSetVcpuAffinity(k, irq, pi());
    expect(decode(irteGuest, live())).toMatchObject({
      remapen: 1,
      guestmode: 1,
      vector: 0x41,
      gatag: 0x1003,
    });
    data.domain.ops.deactivate!(k, data.domain, data);
    expect(decode(irteGuest, live())).toMatchObject({ remapen: 0, guestmode: 1, vector: 0x41 });
    irqSetVcpuAffinity(k, irq, null);
    expect(decode(irteRemapped128, live())).toMatchObject({ remapen: 0, guestmode: 0 });
  });

  test("stays with it when the host moves it, and comes back to the new CPU", () => {
    const { k, irq, pi, send, live, data, taken } = boot(release);
    irqSetVcpuAffinity(k, irq, pi());
    const posted = live();
    expect(irqSetAffinity(k, irq, [3])).toBe(0);
    expect(live()).toBe(posted);
    irqSetVcpuAffinity(k, irq, null);
    const { vector, destination } = vectorConfig(data);
    expect(decode(irteRemapped128, live())).toMatchObject({ vector, dest: destination });
    send();
    expect([taken, k.irqs.descriptors.get(irq)!.counts[3]]).toEqual([[irq], 1]);
  });

  test("rings the doorbell of the CPU that the virtual CPU runs on, and no other", () => {
    const { k, irq, ir, pi, send, doorbells } = boot(release);
    irqSetVcpuAffinity(k, irq, pi());
    send();
    updateGa(k, ir, { apicId: 2, gaLogInterrupt: false });
    send();
    updateGa(k, ir, { apicId: 3, gaLogInterrupt: false });
    send();
    updateGa(k, ir, away);
    send();
    expect(doorbells).toEqual([2, 3]);
  });

  test("is acted on as it was written last, whatever was changed before", () => {
    const change = fc.oneof(
      fc.integer({ min: 0, max: 3 }).map((apicId): GuestPlace => ({ apicId, gaLogInterrupt: false })),
      fc.constantFrom(away, asleep),
      fc.constantFrom("post" as const, "release" as const),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        const { k, irq, ir, pi, send, doorbells, taken, page } = boot(release);
        let posted = false;
        let place = away;
        for (const one of changes) {
          if (one === "post") {
            // Until 6.16 an entry learns where the virtual CPU runs when that is next scheduled.
            if (!posted || release !== "7.0") place = away;
            posted = true;
            irqSetVcpuAffinity(k, irq, pi(place));
          } else if (one === "release") {
            posted = false;
            irqSetVcpuAffinity(k, irq, null);
          } else if (posted) {
            place = one;
            updateGa(k, ir, one);
          }
          doorbells.length = 0;
          taken.length = 0;
          page.clear(group.irr, 0x41);
          expect(send()).toBe(posted ? Outcome.posted : Outcome.remapped);
          expect(page.has(group.irr, 0x41)).toBe(posted);
          expect(taken).toEqual(posted ? [] : [irq]);
          expect(doorbells).toEqual(posted && place.apicId >= 0 ? [place.apicId] : []);
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe("an interrupt for a virtual CPU that does not run", () => {
  test.each([
    ["5.4", away, 1],
    ["6.12", away, 1],
    ["7.0", away, 0],
    ["7.0", asleep, 1],
  ] as const)("of %s, at %o, is logged %i times", (release, place, times) => {
    const { k, irq, ir, pi, send, tags } = boot(release);
    irqSetVcpuAffinity(k, irq, pi());
    updateGa(k, ir, place);
    send();
    expect(tags).toEqual(Array(times).fill(0x1003));
  });

  test("is logged for each interrupt, all round the ring", () => {
    const { k, irq, pi, send, tags } = boot("7.0");
    irqSetVcpuAffinity(k, irq, pi(asleep));
    for (let i = 0; i < 1300; i++) send();
    expect(tags.length).toBe(1300);
  });

  test.each([
    ["6.12", true],
    ["7.0", true],
    ["5.4", false],
  ] as const)("that overflows the log of %s: the log runs again is %s", (release, runsAgain) => {
    const { k, irq, ir, amdvi, pi, send, tags, cpus } = boot(release);
    irqSetVcpuAffinity(k, irq, pi(asleep));
    const burst = () => {
      for (let i = 0; i < 600; i++) amdvi.interrupt(ir.message.addressLow, ir.message.data, requester);
      settle(k, cpus);
    };
    burst();
    expect(tags.length).toBe(511);
    send();
    expect(tags.length).toBe(runsAgain ? 512 : 511);
    const restarted = k.log.lines.some(({ text }) => text === "AMD-Vi: IOMMU GA log restarting");
    expect(restarted).toBe(runsAgain);
  });

  test("whose notifier fails is spoken of", () => {
    const { k, irq, pi, send } = boot("7.0");
    amdIommuRegisterGaLogNotifier(k, () => -1);
    irqSetVcpuAffinity(k, irq, pi(asleep));
    send();
    expect(k.log.lines.at(-1)).toEqual({ level: "err", text: "AMD-Vi: GA log notifier failed." });
    amdIommuRegisterGaLogNotifier(k, null);
    const lines = k.log.lines.length;
    send();
    expect(k.log.lines.length).toBe(lines);
  });
});

describe("without guest mode", () => {
  test.each([
    ["5.4", 0],
    ["6.12", 0],
    ["7.0", -22],
  ] as const)("%s answers a request to post with %i, and the host keeps the interrupt", (release, result) => {
    const { k, irq, ir, pi, send } = boot(release, { commandLine: "amd_iommu_intr=legacy" });
    expect(irqSetVcpuAffinity(k, irq, pi())).toBe(result);
    expect(updateGa(k, ir, away)).toBe(result);
    expect(send()).toBe(Outcome.remapped);
  });
});

describe("a request to keep a virtual CPU in mind", () => {
  test("delivers to the host, and remembers whose the interrupt is to be", () => {
    const { k, irq, ir, pi, send } = boot("7.0");
    const info = pi({ guestMode: false });
    expect(irqSetVcpuAffinity(k, irq, info)).toBe(0);
    expect(info.irData).toBe(ir);
    expect(ir).toMatchObject({ gaTag: 0x1003, guestVector: 0x41 });
    expect(send()).toBe(Outcome.remapped);
  });

  test("until 6.16 says whom the interrupt belonged to before", () => {
    const { k, irq, pi } = boot("6.12");
    irqSetVcpuAffinity(k, irq, pi());
    const info = pi({ guestMode: false });
    irqSetVcpuAffinity(k, irq, info);
    expect(info.previousTag).toBe(0x1003);
    const again = pi({ guestMode: false });
    irqSetVcpuAffinity(k, irq, again);
    expect(again.previousTag).toBe(0);
  });
});
