import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { guestRead, guestWrite } from "../guest-access.ts";
import { framesAt, virtualMachine } from "../testbed.ts";
import { addressSpaceReadFull, addressSpaceStlLe, addressSpaceWrite } from "./address-space.ts";
import { FlatView } from "./flat-view.ts";
import {
  type AccessSize,
  type AccessSizes,
  MemoryRegion,
  type RegionOps,
  addSubregion,
  removeSubregion,
} from "./region.ts";

const base = 0x5000_0000;

/** A virtual machine with a device of 4 KiB whose registers are bytes that are kept. */
function withDevice(sizes: Pick<RegionOps, "valid" | "implemented"> = {}) {
  const machine = virtualMachine();
  const bytes = new Uint8Array(4096 + 8);
  const calls: { offset: number; size: AccessSize; value?: bigint }[] = [];
  const region = new MemoryRegion({
    name: "device",
    size: 4096,
    ops: {
      ...sizes,
      read: (_vmm, offset, size) => {
        calls.push({ offset, size });
        return bytes
          .subarray(offset, offset + size)
          .reduceRight((all, byte) => (all << 8n) | BigInt(byte), 0n);
      },
      write: (_vmm, offset, size, value) => {
        calls.push({ offset, size, value });
        for (let i = 0; i < size; i++) bytes[offset + i] = Number((value >> BigInt(8 * i)) & 0xffn);
      },
    },
  });
  addSubregion(machine.vmm.memory.root, base, region);
  machine.vmm.memory.commit();
  return { ...machine, bytes, calls, region };
}

describe("an access to a device", () => {
  test.each<{ implemented: AccessSizes; size: AccessSize; made: [number, AccessSize, bigint][] }>([
    { implemented: {}, size: 4, made: [[8, 4, 0x44332211n]] },
    { implemented: { max: 1 }, size: 2, made: [[8, 1, 0x11n], [9, 1, 0x22n]] }, // prettier-ignore
    { implemented: { max: 2 }, size: 4, made: [[8, 2, 0x2211n], [10, 2, 0x4433n]] }, // prettier-ignore
    { implemented: { min: 4 }, size: 1, made: [[8, 4, 0x11n]] },
    { implemented: {}, size: 8, made: [[8, 4, 0x44332211n], [12, 4, 0x88776655n]] }, // prettier-ignore
    { implemented: { max: 8 }, size: 8, made: [[8, 8, 0x8877665544332211n]] },
  ])(
    "of $size bytes is cut or widened to what its functions take ($implemented)",
    ({ implemented, size, made }) => {
      const { vmm, calls } = withDevice({ valid: { max: 8 }, implemented });
      const bytes = Uint8Array.of(0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88).subarray(0, size);
      expect(addressSpaceWrite(vmm, vmm.memory, base + 8, bytes)).toBe("ok");
      expect(calls).toEqual(made.map(([offset, size, value]) => ({ offset, size, value })));
    },
  );

  test("of a size that it does not allow, or across its alignment, does not reach it", () => {
    const { vmm, calls } = withDevice({ valid: { min: 4, max: 4 } });
    expect(addressSpaceWrite(vmm, vmm.memory, base, Uint8Array.of(1, 2))).toBe("decodeError");
    expect(addressSpaceStlLe(vmm, vmm.memory, base + 2, 1)).toBe("decodeError");
    expect(addressSpaceReadFull(vmm, vmm.memory, base, new Uint8Array(1))).toBe("decodeError");
    expect(calls).toEqual([]);
  });

  test("that the device makes of itself is refused", () => {
    const { vmm } = virtualMachine();
    const results: string[] = [];
    const ops: RegionOps = {
      read: () => 0,
      write: (vmm) => void results.push(addressSpaceStlLe(vmm, vmm.memory, base, 1)),
    };
    addSubregion(vmm.memory.root, base, new MemoryRegion({ name: "self", size: 16, ops }));
    vmm.memory.commit();
    expect(addressSpaceStlLe(vmm, vmm.memory, base, 1)).toBe("ok");
    expect(results).toEqual(["error"]);
  });

  test("leaves bytes as an array would have them, however it is cut", () => {
    const sizes = fc.constantFrom<AccessSize>(1, 2, 4, 8);
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.uint8Array({ minLength: 1, maxLength: 9 }))),
        (max, writes) => {
          const { vmm, bytes } = withDevice({ valid: { max: 8 }, implemented: { max } });
          const model = new Uint8Array(4096);
          for (const [offset, data] of writes) {
            addressSpaceWrite(vmm, vmm.memory, base + offset, data);
            model.set(data, offset);
          }
          expect(bytes.subarray(0, 128)).toEqual(model.subarray(0, 128));
          const back = new Uint8Array(70);
          expect(addressSpaceReadFull(vmm, vmm.memory, base, back)).toBe("ok");
          expect(back).toEqual(model.subarray(0, 70));
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe("the flat view", () => {
  test("shows at each address the region that wins there, for any tree", () => {
    const leaf = fc.record({
      offset: fc.integer({ min: 0, max: 60 }),
      size: fc.integer({ min: 1, max: 40 }),
      priority: fc.integer({ min: 0, max: 2 }),
      enabled: fc.boolean(),
      inside: fc.boolean(),
    });
    const ops: RegionOps = { read: () => 0, write: () => {} };
    fc.assert(
      fc.property(fc.array(leaf, { maxLength: 8 }), (leaves) => {
        const root = new MemoryRegion({ name: "root", size: 100 });
        const box = new MemoryRegion({ name: "box", size: 30 });
        addSubregion(root, 10, box, 1);
        for (const [i, { offset, size, priority, enabled, inside }] of leaves.entries()) {
          const region = new MemoryRegion({ name: `${i}`, size, ops });
          region.enabled = enabled;
          addSubregion(inside ? box : root, offset, region, priority);
        }
        const winner = (region: MemoryRegion, at: number): MemoryRegion | undefined => {
          if (!region.enabled || at < 0 || at >= region.size) return undefined;
          for (const sub of region.subregions) {
            const found = winner(sub, at - sub.offset);
            if (found !== undefined) return found;
          }
          return region.ops === null ? undefined : region;
        };
        const view = new FlatView(root);
        for (let at = 0; at < 110; at++) expect(view.find(at)?.region).toBe(winner(root, at));
        for (const [i, { from, to }] of view.ranges.entries()) {
          expect(from).toBeLessThan(to);
          expect(view.ranges[i + 1]?.from ?? Infinity).toBeGreaterThanOrEqual(to);
        }
      }),
    );
  });

  test("prefers the region that was added last, among equals, until it is taken away", () => {
    const ops: RegionOps = { read: () => 0, write: () => {} };
    const root = new MemoryRegion({ name: "root", size: 100 });
    const [first, second] = ["first", "second"].map((name) => new MemoryRegion({ name, size: 10, ops }));
    addSubregion(root, 0, first!);
    addSubregion(root, 0, second!);
    expect(new FlatView(root).find(5)?.region).toBe(second);
    removeSubregion(second!);
    expect(new FlatView(root).find(5)?.region).toBe(first);
  });
});

describe("a guest's access", () => {
  test("to RAM needs nobody, to a device an exit on the vCPU's thread", () => {
    const { vmm, ram, bytes } = withDevice();
    const [cpu] = vmm.vcpus;
    guestWrite(vmm, cpu!, 0x1234, 4, 0xdeadbeef);
    expect([guestRead(vmm, cpu!, 0x1234, 4), ram.memory.read32(ram.base + 0x1234) >>> 0, cpu!.exits]).toEqual(
      [0xdeadbeef, 0xdeadbeef, 0],
    );
    vmm.calls.listener = { entered: () => {}, left: () => {} };
    const frames = framesAt(vmm, "memory_region_write_accessor");
    guestWrite(vmm, cpu!, base + 4, 2, 0x1122);
    expect([guestRead(vmm, cpu!, base + 4, 2), bytes[4], cpu!.exits]).toEqual([0x1122, 0x22, 2]);
    expect(frames).toEqual([
      [
        "memory_region_write_accessor",
        "access_with_adjusted_size",
        "memory_region_dispatch_write",
        "flatview_write_continue_step",
        "flatview_write_continue",
        "flatview_write",
        "address_space_write",
        "address_space_rw",
        "kvm_cpu_exec",
        "kvm_vcpu_thread_fn",
        "qemu_thread_start",
      ],
    ]);
  });

  test("leaves guest mode around what QEMU does", () => {
    const { vmm } = withDevice();
    const cpu = vmm.vcpus[0]!;
    const order: string[] = [];
    cpu.outside = (action) => {
      order.push("exit");
      action();
      order.push("entry");
    };
    guestWrite(vmm, cpu, base, 4, 1);
    guestWrite(vmm, cpu, 0, 4, 1);
    expect(order).toEqual(["exit", "entry"]);
  });

  test("to nothing reads zero, and what crosses from RAM to nothing writes what is RAM", () => {
    const { vmm, ram } = withDevice();
    expect(guestRead(vmm, vmm.vcpus[0]!, 0x4000_0000, 4)).toBe(0);
    expect(addressSpaceWrite(vmm, vmm.memory, ram.size - 1, Uint8Array.of(7, 8))).toBe("decodeError");
    expect(ram.read(ram.size - 1, 1)).toEqual(Uint8Array.of(7));
    expect(() => ram.read(ram.size - 1, 2)).toThrow(RangeError);
  });
});

test.each([
  { extended: true, address: 0xfee010e0, sent: { addressLow: 0x1000, addressHigh: 0x700 } },
  { extended: true, address: 0xfee010f0, sent: { addressLow: 0x10f0, addressHigh: 0 } },
  { extended: false, address: 0xfee010e0, sent: { addressLow: 0x10e0, addressHigh: 0 } },
])("destination bits 14:8 of a message ($extended, $address) go where KVM looks for them", (given) => {
  const { vmm, requests } = virtualMachine({ extendedDestinationId: given.extended });
  addressSpaceStlLe(vmm, vmm.memory, given.address, 0x41);
  expect(requests).toMatchObject([given.sent]);
});

test("a message that KVM refuses is counted", () => {
  const { vmm, kvm } = virtualMachine();
  kvm.onRequest = () => -22;
  addressSpaceStlLe(vmm, vmm.memory, 0xfee01000, 0x41);
  expect(vmm.lostMessages).toBe(1);
});
