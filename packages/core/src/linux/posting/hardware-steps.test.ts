import { assert, array, boolean, constantFrom, integer, property, record } from "fast-check";
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
import { PostingState, postedInterruptVector } from "./posting-state.ts";
import { FrameWord } from "./words.ts";
import { vmxPosting } from "./vmx-table.ts";

const slab = 0x1_0000;
const page = 0x8000;
const cpus = 2;

/** Memory with a descriptor, APICs, and the protocol's state over them. */
function bench(fill: (descriptor: PostedDescriptor) => void) {
  const memory = new Memory();
  const descriptor = new PostedDescriptor(memory, slab);
  fill(descriptor);
  const fabric = new ApicFabric([0, 1], { mode: "x2apic", softwareEnabled: true });
  const apics = [new LocalApic(fabric, 0), new LocalApic(fabric, 1)];
  const requests = new VectorPage(memory, page);
  const state = new PostingState(
    { vcpus: 1, cpus, vms: 1, entries: 0, others: 1 },
    {
      sendIpi: (cpu, vector) => void fabric.fixed(cpu, vector),
      notify: (ndst, vector) => void fabric.fixed(ndst, vector),
      acknowledge(cpu, vector) {
        expect(apics[cpu]!.acknowledge()).toBe(vector);
        apics[cpu]!.eoi();
      },
      destinationOf: (cpu) => cpu,
      hasInterrupt: () => requests.highest(group.irr) >= 0,
      request: (_vcpu, part, vectors) => requests.merge(group.irr, part, vectors),
      woken: () => {},
    },
    { descriptors: { words: memory.writableChunk(chunkNumber(slab)), first: wordInChunk(slab) } },
  );
  /** All that can be seen afterwards. */
  const seen = () => ({
    descriptor: descriptor.read(),
    apics: [...fabric.state],
    irr: Array.from({ length: 8 }, (_, part) => requests.read(0x200 + 16 * part)),
  });
  const run = (frame: number, from: number): number => vmxPosting.run(state, frame, from);
  return { memory, descriptor, fabric, apics, state, seen, run };
}

const vectors = integer({ min: 16, max: 255 });

const descriptors = record({
  pir: array(vectors, { maxLength: 6 }),
  on: boolean(),
  sn: constantFrom<0 | 1>(0, 1),
  nv: constantFrom(0xf1, 0xf2, 0x40),
  ndst: integer({ min: 0, max: cpus - 1 }),
}).map(({ pir, on, sn, nv, ndst }) => (descriptor: PostedDescriptor): void => {
  for (const vector of pir) descriptor.testAndSetPir(vector);
  if (on) descriptor.testAndSetOn();
  descriptor.setNotification(sn, nv, ndst);
});

describe("the table's steps do what hardware does", () => {
  test("when a device posts, whatever the descriptor holds", () => {
    assert(
      property(descriptors, vectors, (fill, vector) => {
        const model = bench(fill);
        const { memory, fabric } = model;
        new Poster({ memory, fabric, cpuCache: undefined, observer: null }).post(
          UnitMode.eime,
          slab,
          0,
          vector,
          false,
        );
        const table = bench(fill);
        const frame = table.state.otherAt(0);
        table.state.set(frame + FrameWord.vector, vector);
        table.run(frame, vmxPosting.at["device-post"]);
        expect(table.seen()).toEqual(model.seen());
      }),
    );
  });

  test("when a processor in guest mode is notified", () => {
    assert(
      property(descriptors, (fill) => {
        const model = bench(fill);
        const virtual = new VirtualApic(model.memory, {
          controls: postingControls,
          virtualApic: page,
          descriptor: slab,
          notificationVector: postedInterruptVector,
        });
        model.fabric.fixed(1, postedInterruptVector);
        virtual.externalInterrupt(model.apics[1]!);
        const table = bench(fill);
        table.fabric.fixed(1, postedInterruptVector);
        const frame = table.state.handlerAt(1);
        table.state.set(frame + FrameWord.cpu, 1);
        table.run(frame, vmxPosting.at["processor-acknowledge"]);
        expect(table.seen()).toEqual(model.seen());
      }),
    );
  });

  test("and software's what software does: post, and bring to IRR", () => {
    assert(
      property(descriptors, vectors, (fill, vector) => {
        const model = bench(fill);
        model.descriptor.postFromSoftware(vector);
        const highest = model.descriptor.harvestFromSoftware(new VectorPage(model.memory, page));
        const table = bench(fill);
        const frame = table.state.otherAt(0);
        table.state.set(frame + FrameWord.vector, vector);
        table.run(frame, vmxPosting.at["software-set-pir"]);
        table.run(table.state.threadAt(0), vmxPosting.at["sync-test-on"]);
        expect(table.seen()).toEqual(model.seen());
        expect(new VectorPage(table.memory, page).highest(group.irr)).toBe(highest);
      }),
    );
  });
});
