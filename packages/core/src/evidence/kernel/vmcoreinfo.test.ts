import * as fc from "fast-check";
import { expect, test } from "vitest";
import { latin1, SparseMemory } from "./testing/sparse-memory.ts";
import { SyntheticCore } from "./testing/synthetic-core.ts";
import { Vmcoreinfo, scanForVmcoreinfo } from "./vmcoreinfo.ts";

const text = `OSRELEASE=6.1.0-56-amd64
SYMBOL(_stext)=ffffffff81000000
NUMBER(phys_base)=-1048576
OFFSET(uts_namespace.name)=4
SYMBOL(odd)=0x12
NUMBER(odd)=ten
KERNELOFFSET=1f000000
`;

test("lines are found by kind and name, and only in their form", () => {
  const info = new Vmcoreinfo(latin1(text));
  expect(info.release).toBe("6.1.0-56-amd64");
  expect(info.symbol("_stext")).toBe(0xffff_ffff_8100_0000n);
  expect(info.number("phys_base")).toBe(-0x10_0000n);
  expect(info.offset("uts_namespace.name")).toBe(4);
  expect(info.get("KERNELOFFSET")).toBe("1f000000");
  for (const name of ["odd", "none"]) {
    expect([info.symbol(name), info.number(name), info.offset(name)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  }
});

test.each(["", "OSRELEASE=\n", "OSRELEASE=%s\n", "OSRELEASE=6.1 \u0007\n", "CRASHTIME=1\n"])(
  "%j has no release",
  (text) => {
    expect(() => new Vmcoreinfo(latin1(text)).release).toThrow(
      /^VMCOREINFO: expected OSRELEASE to be a kernel's release/,
    );
  },
);

/** Notes found in RAM, by their texts. */
function scan(fill: (core: SyntheticCore) => void): string[] {
  const core = new SyntheticCore();
  fill(core);
  return [...scanForVmcoreinfo(core.memory)].map((text) => String.fromCharCode(...text));
}

test("a note is found at the start of any page, with all of its text", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0x2000n, max: 0x10_0000n }),
      fc.integer({ min: 0, max: 60_000 }),
      (page, length) => {
        const said = `${text}X=${"x".repeat(length)}`;
        expect(scan((core) => core.note(page * 4096n, latin1(said)))).toEqual([said]);
      },
    ),
    { numRuns: 20 },
  );
});

test.each([
  ["inside a page", (core: SyntheticCore) => core.note(0x500_0010n, latin1(text))],
  [
    "with another name",
    (core) => {
      core.note(0x500_0000n, latin1(text));
      core.memory.text(0x500_000cn, "VMCOREINFX");
    },
  ],
  [
    "with a name of another length",
    (core) => {
      core.note(0x500_0000n, latin1(text));
      core.memory.put(0x500_0000n, 12, 4);
    },
  ],
  ["longer than one can be", (core) => core.note(0x500_0000n, latin1(text), 65_537)],
  ["that goes on where no memory is", (core) => core.note(0x500_0000n, latin1(text), 5000)],
  ["that begins with something else", (core) => core.note(0x500_0000n, latin1(`X=1\n${text}`))],
  ["of a kernel's format string", (core) => core.note(0x500_0000n, latin1("OSRELEASE=%s\n"))],
] as [string, (core: SyntheticCore) => void][])("a note %s is none", (_, fill) => {
  expect(scan(fill)).toEqual([]);
});

test("pages that are missing between are passed over, and what was done is told", () => {
  const memory = new SparseMemory();
  memory.put(0n, 0);
  memory.put(0x1000n * 300n, 0);
  const whole = { name: "dump", ranges: [{ start: 0n, end: 0x800_0000n }], read: memory.read.bind(memory) };
  const note = new SyntheticCore({ inRam: true }).memory.read(0x9000n, 4096);
  memory.write(0x7ff_f000n, note);
  const told: bigint[] = [];
  const found = [...scanForVmcoreinfo(whole, (done) => told.push(done))];
  expect(found).toHaveLength(1);
  expect(told).toEqual(told.toSorted((a, b) => Number(a - b)));
  expect(told.at(-1)).toBe(0x800_0000n);
});
