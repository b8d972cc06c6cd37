import { describe, expect, test } from "vitest";
import { HostDraft } from "../host/draft.ts";
import { printLog, readKernelMemoryLog, walkKernelLog } from "./kernel-log.ts";
import { changed } from "./testing/kvm-host.ts";
import { layouts as v61 } from "./testing/layouts-6.1.ts";
import { layouts as v612 } from "./testing/layouts-6.12.ts";
import { LayoutKernel } from "./testing/layout-kernel.ts";
import { latin1 } from "./testing/sparse-memory.ts";

const real = [v61, v612].map((layouts) => [layouts.release, layouts] as const);
const idMask = (1n << 62n) - 1n;
const states = { reserved: 0n, committed: 1n, finalized: 2n, reusable: 3n } as const;
const at = {
  pointer: 0xffff_8880_0000_0000n,
  ring: 0xffff_8880_0000_1000n,
  descriptors: 0xffff_8880_0001_0000n,
  infos: 0xffff_8880_0002_0000n,
  data: 0xffff_8880_0003_0000n,
} as const;

/** A log of printk in memory: 8 descriptors, 256 bytes of text. */
class Ring {
  readonly kernel: LayoutKernel;
  readonly #size = 256n;
  #position: bigint;
  #id: bigint;
  #first: bigint | undefined;

  /** @param position where in the ring of text it begins. @param id of the first descriptor. */
  constructor(layouts: (typeof real)[number][1], { position = 0n, id = 0n, bytes = 256 } = {}) {
    this.kernel = new LayoutKernel(layouts);
    this.#position = position;
    this.#id = id;
    const { memory, places } = this.kernel;
    places.set("prb", at.pointer);
    memory.put(at.pointer, at.ring);
    memory.write(at.ring, new Uint8Array(256));
    memory.write(at.descriptors, new Uint8Array(4096));
    memory.write(at.infos, new Uint8Array(4096));
    memory.write(at.data, new Uint8Array(bytes));
    this.set("desc_ring.count_bits", 3);
    this.set("desc_ring.descs", at.descriptors);
    this.set("desc_ring.infos", at.infos);
    this.set("text_data_ring.size_bits", 8);
    this.set("text_data_ring.data", at.data);
  }

  set(name: string, value: bigint | number): void {
    this.kernel.set("printk_ringbuffer", at.ring, name, value);
  }

  add(time: bigint, text: string, state: keyof typeof states = "finalized"): this {
    const id = this.#id++ & idMask;
    this.#first ??= id;
    const index = id % 8n;
    const bytes = BigInt((8 + text.length + 7) & ~7);
    // A block that would cross the end begins anew behind it.
    const crosses = (this.#position % this.#size) + bytes > this.#size;
    const start = crosses ? 0n : this.#position % this.#size;
    const next = crosses ? (this.#position / this.#size + 1n) * this.#size + bytes : this.#position + bytes;
    const { memory } = this.kernel;
    memory.put(at.data + start, id);
    memory.write(at.data + start + 8n, latin1(text));
    this.#describe(index, id, states[state], this.#position, next);
    this.kernel.set("printk_info", at.infos + index * 88n, "ts_nsec", time);
    this.kernel.set("printk_info", at.infos + index * 88n, "text_len", text.length);
    this.#position = next;
    return this.#move(id);
  }

  /** A record without text, or one whose text found no room. */
  addEmpty(time: bigint, position: 1n | 3n): this {
    const id = this.#id++ & idMask;
    this.#first ??= id;
    this.#describe(id % 8n, id, states.finalized, position, position);
    this.kernel.set("printk_info", at.infos + (id % 8n) * 88n, "ts_nsec", time);
    return this.#move(id);
  }

  #describe(index: bigint, id: bigint, state: bigint, begin: bigint, next: bigint): void {
    const address = at.descriptors + index * 24n;
    this.kernel.set("prb_desc", address, "state_var.counter", (state << 62n) | id);
    this.kernel.set("prb_desc", address, "text_blk_lpos.begin", begin);
    this.kernel.set("prb_desc", address, "text_blk_lpos.next", next);
  }

  #move(head: bigint): this {
    this.set("desc_ring.head_id.counter", head);
    this.set("desc_ring.tail_id.counter", this.#first!);
    return this;
  }

  get text(): string {
    return printLog(readKernelMemoryLog(this.kernel).records);
  }
}

describe.each(real)("on kernel %s", (_release, layouts) => {
  test("records are printed as dmesg prints them, each line behind its time", () => {
    const ring = new Ring(layouts)
      .add(0n, "Linux version")
      .add(1_234_567_890n, "two\nlines")
      .add(123_456_000_001_999n, "");
    expect(ring.text).toBe(
      "[    0.000000] Linux version\n[    1.234567] two\n[    1.234567] lines\n[123456.000001] \n",
    );
  });

  test("ids and positions go round", () => {
    // Ids before the first one, as the kernel begins with, and text that just crosses the end.
    const ring = new Ring(layouts, { position: 0xffff_ffff_ffff_ff00n - 256n + 208n, id: idMask - 1n });
    ring.add(0n, "just fits the end".padEnd(40, ".")).add(0n, "stands at the start").add(0n, "and one more");
    expect(ring.text.split("\n").map((line) => line.slice(15))).toEqual([
      "just fits the end".padEnd(40, "."),
      "stands at the start",
      "and one more",
      "",
    ]);
  });

  test("a block that would cross the end is read from the start", () => {
    const ring = new Ring(layouts, { position: 232n })
      .add(0n, "longer than what is left there")
      .add(0n, "next");
    expect(ring.text).toBe("[    0.000000] longer than what is left there\n[    0.000000] next\n");
  });

  test("records that are being written, written over, or without text are left out", () => {
    const ring = new Ring(layouts)
      .add(0n, "committed", "committed")
      .add(0n, "reserved", "reserved")
      .add(0n, "reusable", "reusable")
      .addEmpty(5_000n, 3n)
      .add(0n, "another's text")
      .add(0n, "last");
    ring.kernel.memory.put(at.data + 24n + 16n + 16n, 77n);
    expect(ring.text).toBe("[    0.000000] committed\n[    0.000005] \n[    0.000000] last\n");
  });

  test("what cannot be read is counted, the rest is read", () => {
    const draft = new HostDraft("memory");
    const ring = new Ring(layouts).add(0n, "DMAR-IR: Enabled IRQ remapping in x2apic mode").add(0n, "x");
    ring.kernel.set("prb_desc", at.descriptors + 24n, "text_blk_lpos.begin", 0x8000n);
    ring.kernel.set("prb_desc", at.descriptors + 24n, "text_blk_lpos.next", 0x8010n);
    ring.set("text_data_ring.size_bits", 20);
    walkKernelLog(ring.kernel, draft);
    expect(draft.log!.value).toMatchObject([{ line: 1 }]);
    expect(draft.log!.origin).toEqual({ source: "kernel memory" });
    expect(draft.missing).toEqual([
      {
        what: "part of the kernel log",
        why: expect.stringMatching(/^1 records cannot be read, the first: memory: /),
        needs: "the output of dmesg",
      },
    ]);
  });

  test.each([
    ["desc_ring.count_bits", 64, "count_bits: expected 1 to 26, found 64"],
    ["desc_ring.count_bits", 0, "count_bits: expected 1 to 26, found 0"],
    ["text_data_ring.size_bits", 0xffff_ffff, "size_bits: expected 1 to 31, found 4294967295"],
    ["desc_ring.head_id.counter", 1n << 40n, "expected tail_id within 7 of head_id, found 1099511627776"],
  ])("hostile %s of %i ends in one line", (name, value, line) => {
    const draft = new HostDraft("memory");
    const ring = new Ring(layouts).add(0n, "text");
    ring.set(name, value);
    walkKernelLog(ring.kernel, draft);
    expect(draft.log).toBeUndefined();
    expect(draft.missing).toEqual([
      { what: "kernel log", why: expect.stringContaining(line), needs: "the output of dmesg" },
    ]);
  });
});

describe("before 5.10", () => {
  const layouts = changed(v61, "5.4.0", {
    printk_log: { ts_nsec: "0 0 8 1 - value", len: "64 0 2 1 - value", text_len: "80 0 2 1 - value" },
  });

  /** @param records where each is, its length, time and text. */
  function kernelWith(
    first: number,
    next: number,
    records: readonly (readonly [number, number, bigint, string])[],
  ): LayoutKernel {
    const kernel = new LayoutKernel({
      ...layouts,
      types: { ...layouts.types, printk_log: { ...layouts.types.printk_log!, size: 16 } },
    });
    for (const [i, [name, value]] of Object.entries({
      log_buf: at.data,
      log_buf_len: 256,
      log_first_idx: first,
      log_next_idx: next,
    }).entries()) {
      kernel.places.set(name, at.pointer + BigInt(i * 8));
      kernel.memory.put(at.pointer + BigInt(i * 8), value);
    }
    kernel.memory.write(at.data, new Uint8Array(256));
    for (const [place, length, time, text] of records) {
      const address = at.data + BigInt(place);
      kernel.set("printk_log", address, "len", length);
      kernel.set("printk_log", address, "ts_nsec", time);
      kernel.set("printk_log", address, "text_len", text.length);
      kernel.memory.write(address + 16n, latin1(text));
    }
    return kernel;
  }

  test("records stand in one buffer, and go on at its start", () => {
    const kernel = kernelWith(200, 24, [
      [200, 24, 1_000n, "first"],
      [224, 0, 0n, ""],
      [0, 24, 2_000n, "second"],
    ]);
    expect(printLog(readKernelMemoryLog(kernel).records)).toBe(
      "[    0.000001] first\n[    0.000002] second\n",
    );
  });

  test.each([
    ["no end", kernelWith(0, 250, [[0, 24, 0n, "a"]]), null],
    [
      "a record shorter than its head",
      kernelWith(0, 24, [[0, 8, 0n, "a"]]),
      "expected records of 16 bytes and more, found 8",
    ],
    ["a start past the end", kernelWith(4096, 24, []), "expected a record below 256, found one at 4096"],
  ])("a buffer with %s ends", (_what, kernel, line) => {
    const draft = new HostDraft("memory");
    walkKernelLog(kernel, draft);
    expect(draft.missing.map(({ why }) => why)).toEqual(line === null ? [] : [expect.stringContaining(line)]);
  });
});

test("a kernel without its symbols has no log", () => {
  const draft = new HostDraft("memory");
  walkKernelLog(new LayoutKernel(v61), draft);
  expect(draft.missing.map(({ what, why }) => [what, why])).toEqual([
    ["kernel log", "memory: expected the symbol prb, as a kernel since 5.10 has it"],
  ]);
});
