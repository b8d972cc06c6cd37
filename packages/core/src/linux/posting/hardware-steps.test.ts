import { array, assert, boolean, constantFrom, integer, property, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { ApicFabric } from "../../hardware/lapic/fabric.ts";
import { LocalApic } from "../../hardware/lapic/local-apic.ts";
import { Memory, chunkNumber, wordInChunk } from "../../hardware/memory.ts";
import { PostedDescriptor } from "../../hardware/posting/descriptor.ts";
import { VectorPage, group } from "../../hardware/posting/vector-page.ts";
import { postingControls } from "../../hardware/posting/vmx-settings.ts";
import { VirtualApic } from "../../hardware/posting/vmx.ts";
import { Mode as UnitMode } from "../../hardware/vtd/state.ts";
import { Poster } from "../../hardware/vtd/poster.ts";
import { encode, toWords } from "../../spec/codec.ts";
import { irtePosted } from "../../spec/vtd/irte.ts";
import { PostingState, postedInterruptVector } from "./posting-state.ts";
import { FrameWord } from "./words.ts";
import { vmxPosting } from "./vmx-table.ts";

/** Above 4 GiB, so that both halves of the address count. */
const slab = 0x1_0001_0000;
const page = 0x8000;
const cpus = 3;

type ApicMode = "xapic" | "x2apic";

/** NDST as the host's APICs have it. */
function ndstOf(mode: ApicMode, apicId: number): number {
  return mode === "x2apic" ? apicId : apicId << 8;
}

interface Contents {
  /** Vectors in PIR, and in IRR. */
  readonly pir: readonly number[];
  readonly irr: readonly number[];
  readonly on: boolean;
  readonly sn: 0 | 1;
  readonly nv: number;
  readonly destination: number;
}

/** Memory with two vCPUs' descriptors, the second as told, APICs, and the protocol's state over them. */
function bench(mode: ApicMode, { pir, irr, on, sn, nv, destination }: Contents) {
  const memory = new Memory();
  const descriptor = new PostedDescriptor(memory, slab + 64);
  for (const vector of pir) descriptor.testAndSetPir(vector);
  if (on) descriptor.testAndSetOn();
  descriptor.setNotification(sn, nv, ndstOf(mode, destination));
  const fabric = new ApicFabric([0, 1, 2], { mode, softwareEnabled: true });
  const apics = [0, 1, 2].map((id) => new LocalApic(fabric, id));
  const requests = new VectorPage(memory, page);
  for (const vector of irr) requests.set(group.irr, vector);
  const state = new PostingState(
    { vcpus: 2, cpus, vms: 1, entries: 1, others: 1 },
    {
      sendIpi: (cpu, vector) => void fabric.fixed(cpu, vector),
      notify: (ndst, vector) =>
        void fabric.fixed(
          apics.findIndex((_, id) => ndstOf(mode, id) === ndst),
          vector,
        ),
      acknowledge(cpu, vector) {
        expect(apics[cpu]!.acknowledge()).toBe(vector);
        apics[cpu]!.eoi();
      },
      destinationOf: (cpu) => ndstOf(mode, cpu),
      hasInterrupt: () => requests.highest(group.irr) >= 0,
      request: (_vcpu, part, vectors) => requests.merge(group.irr, part, vectors),
      woken: () => {},
    },
    {
      descriptors: {
        words: memory.writableChunk(chunkNumber(slab)),
        first: wordInChunk(slab),
        address: slab,
      },
    },
  );
  const frame = state.otherAt(0);
  state.set(frame + FrameWord.vcpu, 1);
  state.set(frame + FrameWord.cpu, 1);
  /** All that can be seen afterwards: both descriptors, APICs and IRR. */
  const seen = () => ({
    descriptors: Array.from({ length: 32 }, (_, i) => memory.read32(slab + 4 * i)),
    apics: [...fabric.state],
    irr: Array.from({ length: 8 }, (_, part) => requests.read(0x200 + 16 * part)),
  });
  const run = (from: number): number => {
    let next = from;
    while (next !== 0) next = vmxPosting.run(state, frame, next);
    return next;
  };
  return { memory, descriptor, fabric, apics, state, frame, requests, seen, run };
}

const modes = constantFrom<ApicMode>("xapic", "x2apic");
const vectors = integer({ min: 16, max: 255 });

const contents = record({
  pir: array(vectors, { maxLength: 6 }),
  irr: array(vectors, { maxLength: 3 }),
  on: boolean(),
  sn: constantFrom<0 | 1>(0, 1),
  nv: constantFrom(0xf1, 0xf2, 0x40),
  destination: integer({ min: 0, max: cpus - 1 }),
});

const runs = { numRuns: 500 };

describe("the table's steps do what hardware does", () => {
  test("when a device posts, whatever entry and descriptor hold", () => {
    assert(
      property(modes, contents, vectors, boolean(), (mode, has, vector, urgent) => {
        const model = bench(mode, has);
        const { memory, fabric } = model;
        const { address } = model.descriptor;
        const poster = new Poster({ memory, fabric, cpuCache: undefined, observer: null });
        const unit = mode === "x2apic" ? UnitMode.eime : 0;
        poster.post(unit, address | 0, Math.floor(address / 2 ** 32), vector, urgent);
        const table = bench(mode, has);
        const entry = encode(irtePosted, { p: 1, im: 1, urg: Number(urgent), vv: vector, pda: address });
        for (const [i, word] of toWords(entry, 128).entries()) table.state.irtes.write(0, i, word);
        table.run(vmxPosting.at["device-request"]);
        expect(table.seen()).toEqual(model.seen());
        expect(table.state.irtes.drained(0)).toBe(true);
      }),
      runs,
    );
  });

  test("when a processor in guest mode is notified", () => {
    assert(
      property(modes, contents, (mode, has) => {
        const model = bench(mode, has);
        const virtual = new VirtualApic(model.memory, {
          controls: postingControls,
          virtualApic: page,
          descriptor: model.descriptor.address,
          notificationVector: postedInterruptVector,
        });
        model.fabric.fixed(1, postedInterruptVector);
        virtual.externalInterrupt(model.apics[1]!);
        const table = bench(mode, has);
        table.fabric.fixed(1, postedInterruptVector);
        table.run(vmxPosting.at["processor-acknowledge"]);
        expect(table.seen()).toEqual(model.seen());
        expect(virtual.rvi).toBe(Math.max(0, ...has.pir));
      }),
      runs,
    );
  });

  test("and software's what software does: post, and bring to IRR", () => {
    assert(
      property(contents, vectors, (has, vector) => {
        const model = bench("x2apic", has);
        model.descriptor.postFromSoftware(vector);
        model.descriptor.harvestFromSoftware(new VectorPage(model.memory, page));
        const table = bench("x2apic", has);
        table.state.set(table.frame + FrameWord.vector, vector);
        table.run(vmxPosting.at["software-set-pir"]);
        table.run(vmxPosting.at["sync-test-on"]);
        expect(table.seen()).toEqual(model.seen());
      }),
      runs,
    );
  });
});
