import { assert, bigInt, boolean, constantFrom, integer, property, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { encode, fromWords, toWords } from "../../spec/codec.ts";
import { irtePosted, irteRemapped } from "../../spec/vtd/irte.ts";
import { IrteWord } from "./irte-state.ts";
import { type PostingPort, PostingState } from "./posting-state.ts";
import { done } from "./step.ts";
import type { VmxStepId } from "./vmx-step-ids.ts";
import { vmxPosting } from "./vmx-table.ts";
import { FrameWord } from "./words.ts";

const slab = 0x12_3456_7000;
const { at, steps } = vmxPosting;

function bench() {
  const descriptors = { words: new Int32Array(48), first: 0, address: slab };
  const shape = { vcpus: 3, cpus: 1, vms: 1, entries: 2, others: 1 };
  const state = new PostingState(shape, {} as PostingPort, { descriptors });
  const frame = state.otherAt(0);
  state.set(frame + FrameWord.entry, 1);
  const driver = state.irteAt(1);
  const words = (): Int32Array => state.words.slice(state.irtes.tableAt(1), state.irtes.tableAt(1) + 4);
  return {
    state,
    frame,
    entry: () => fromWords(words(), 0, 128),
    host: () => fromWords(state.words, driver + IrteWord.host, 128),
    keep: (entry: bigint) => state.words.set(toWords(entry, 128), driver + IrteWord.host),
    word: (word: number) => state.get(driver + word),
    /** @returns what the entry was after each step. */
    run(from: VmxStepId): bigint[] {
      const was: bigint[] = [];
      for (let next = at[from]; next !== done; was.push(this.entry())) next = steps[next]!.act(state, frame);
      return was;
    },
  };
}

const shared = {
  p: constantFrom(1),
  fpd: integer({ min: 0, max: 1 }),
  avail: integer({ min: 0, max: 15 }),
  sid: integer({ min: 0, max: 0xffff }),
  sq: integer({ min: 0, max: 3 }),
  svt: integer({ min: 0, max: 2 }),
};
const bit = integer({ min: 0, max: 1 });
const vector = integer({ min: 16, max: 255 });
const hosts = record({
  ...shared,
  dm: bit,
  rh: bit,
  tm: bit,
  dlm: bit,
  v: vector,
  dst: bigInt({ min: 0n, max: 0xffff_ffffn }),
});

describe("an entry", () => {
  test("that posts to a vCPU has the rest of the host's, and comes back as it was", () => {
    assert(
      property(hosts, vector, integer({ min: 0, max: 2 }), (host, vv, vcpu) => {
        const { p, fpd, avail, sid, sq, svt } = host;
        const b = bench();
        b.keep(encode(irteRemapped, host));
        b.state.set(b.frame + FrameWord.vcpu, vcpu);
        b.state.set(b.frame + FrameWord.vector, vv);
        b.run("irte-ask-posted");
        const posted = { p, fpd, avail, sid, sq, svt, im: 1, vv, pda: slab + 64 * vcpu };
        expect(b.entry()).toBe(encode(irtePosted, posted));
        expect([b.word(IrteWord.postedVcpu), b.word(IrteWord.asked), b.word(IrteWord.lock)]).toEqual([
          1, 1, 0,
        ]);
        b.run("irte-ask-remapped");
        expect(b.entry()).toBe(encode(irteRemapped, host));
        expect([b.word(IrteWord.postedVcpu), b.word(IrteWord.asked), b.word(IrteWord.lock)]).toEqual([
          0, 0, 0,
        ]);
      }),
    );
  });

  test("that the host moves is written if it is the host's; if it is a vCPU's, the copy is", () => {
    assert(
      property(hosts, vector, bigInt({ min: 0n, max: 0xffff_ffffn }), boolean(), (host, v, dst, posted) => {
        const b = bench();
        b.keep(encode(irteRemapped, host));
        b.run(posted ? "irte-ask-posted" : "irte-ask-remapped");
        const before = b.entry();
        b.state.set(b.frame + FrameWord.vector, v);
        b.state.set(b.frame + FrameWord.value, Number(BigInt.asIntN(32, dst)));
        b.run("affinity-lock");
        const moved = encode(irteRemapped, { ...host, v, dst });
        expect([b.entry(), b.host()]).toEqual([posted ? before : moved, moved]);
      }),
    );
  });

  test("that is or was posted is never seen half changed", () => {
    assert(
      property(hosts, hosts, vector, (host, next, vv) => {
        const b = bench();
        b.keep(encode(irteRemapped, host));
        b.run("irte-ask-remapped");
        b.state.set(b.frame + FrameWord.vector, vv);
        for (const step of [
          "irte-ask-posted",
          "irte-ask-remapped",
          "irte-ask-posted",
          "irte-clear",
        ] as const) {
          b.keep(encode(irteRemapped, next));
          const before = b.entry();
          const seen = b.run(step);
          for (const entry of seen) expect([before, b.entry()]).toContain(entry);
        }
      }),
    );
  });

  test("that is given up is nobody's", () => {
    const b = bench();
    b.run("irte-ask-posted");
    b.run("irte-clear");
    expect([b.entry(), b.word(IrteWord.postedVcpu)]).toEqual([0n, 0]);
  });

  test("is not changed while its interrupt is locked", () => {
    const b = bench();
    b.state.set(b.state.irteAt(1) + IrteWord.lock, 1);
    for (const step of ["irte-lock", "affinity-lock"] as const) {
      expect(steps[at[step]]!.act(b.state, b.frame)).toBe(at[step]);
    }
  });

  test("is the host's own when the host posts its MSIs: the CPU's descriptor, and the host's vector", () => {
    assert(
      property(hosts, vector, (host, vv) => {
        const b = bench();
        b.keep(encode(irteRemapped, host));
        b.state.set(b.frame + FrameWord.vector, vv);
        b.run("irte-ask-posted");
        const own = 0x9_8765_4340;
        b.state.set(b.frame + FrameWord.addressLow, own | 0);
        b.state.set(b.frame + FrameWord.addressHigh, 9);
        b.run("irte-write-host");
        const { p, fpd, avail, sid, sq, svt, v } = host;
        expect(b.entry()).toBe(encode(irtePosted, { p, fpd, avail, sid, sq, svt, im: 1, vv: v, pda: own }));
      }),
    );
  });
});
