import { describe, expect, test } from "vitest";
import { Eventfd } from "../../linux/eventfd.ts";
import type { Release } from "../../linux/kernel.ts";
import type { KvmRequest } from "../../linux/kvm/requests.ts";
import type { File, Ioctl } from "../../linux/syscall.ts";
import { withMsix } from "../../linux/testbed.ts";
import type { VfioRequest } from "../../linux/vfio/requests.ts";
import { capabilityIds, configOffset } from "../../spec/pci/config-header.ts";
import { runMainLoop } from "../main-loop.ts";
import { framesAt, virtualMachine } from "../testbed.ts";
import { type VfioOptions, regionsOf } from "./device.ts";
import { vfioExitfn, vfioRealize } from "./pci.ts";

const memoryAndMaster = 6;
const enable = 0x8000_0000;
const functionMask = 0x4000_0000;

type AnyRequest = KvmRequest | VfioRequest;

interface Options extends Partial<VfioOptions> {
  readonly release?: Release;
  readonly msi?: boolean;
  readonly vectors?: number;
}

/** A guest with a host's function assigned to it; VFIO and KVM note what they are asked, in one list. */
function assigned(options: Options = {}) {
  const { release = "7.0", msi = false, vectors = 4, ...more } = options;
  const machine = virtualMachine({ host: { vendor: "none", release } });
  const { vmm, bus, plug, requests } = machine;
  const features = msi ? { msi: { vectors: 4, masking: true } as const } : withMsix(vectors);
  const { fn: real } = plug(0x300, { classCode: 0x020000, ...features });
  const asked = requests as AnyRequest[];
  const vfio = { result: (_request: VfioRequest): number => 0 };
  const file: File = {
    name: "vfio",
    ioctl: (_k, request: Ioctl) => {
      asked.push(request as VfioRequest);
      return vfio.result(request as VfioRequest);
    },
  };
  const device = vfioRealize(vmm, {
    name: "0000:03:00.0",
    requester: 0x20,
    file,
    access: real,
    regions: regionsOf(real),
    ...more,
  });
  bus.plug(device.fn);
  const access = bus.access(device.fn);
  access.writeConfig(configOffset.commandStatus, 2, memoryAndMaster);
  const find = (id: number): number => {
    let at = access.readConfig(configOffset.capabilities, 1);
    while (at !== 0 && access.readConfig(at, 1) !== id) at = access.readConfig(at + 1, 1);
    return at;
  };
  const capability = find(msi ? capabilityIds.msi : capabilityIds.msix);
  /** The guest programs a vector, as it does before it lets it send. */
  const program = (vector: number, data: number, mask = 0): void => {
    access.writeBar(0, 16 * vector, 4, 0xfee01000);
    access.writeBar(0, 16 * vector + 4, 4, 0);
    access.writeBar(0, 16 * vector + 8, 4, data);
    access.writeBar(0, 16 * vector + 12, 4, mask);
  };
  const control = (bits: number): void => access.writeConfig(capability, 4, bits);
  /** The requests since the last look, in a short form. */
  const taken = () => asked.splice(0).map(short);
  return { ...machine, real, device, access, capability, program, control, taken, vfio };
}

function short(request: AnyRequest): string {
  switch (request.request) {
    case "KVM_SIGNAL_MSI":
      return `signal ${request.data}`;
    case "KVM_SET_GSI_ROUTING":
      return `routes ${request.routes.map(({ gsi, data }) => `${gsi}:${data}`).join(" ")}`;
    case "KVM_IRQFD":
      return `${request.deassign === true ? "deassign" : "irqfd"} ${request.gsi}`;
    case "VFIO_DEVICE_SET_IRQS":
      return request.index === "req"
        ? "req"
        : `${request.index} ${request.start} [${request.eventfds.map(kind).join(" ")}]`;
    default:
      return request.request;
  }
}

const kind = (eventfd: Eventfd | null): string =>
  eventfd === null ? "-" : eventfd.name.endsWith("irqfd") ? "kvm" : "qemu";

/** Words of the table in the device itself. */
function realTable({ real }: ReturnType<typeof assigned>, vector: number): number[] {
  return [0, 4, 8, 12].map((offset) => real.readBar(0, 16 * vector + offset, 4));
}

describe("the MSI-X table", () => {
  test("that QEMU traps is its own: what the guest writes never reaches the device", () => {
    const guest = assigned();
    const { access, program, vmm } = guest;
    const before = vmm.vcpus[0]!.exits;
    program(2, 0x77, 1);
    expect(vmm.vcpus[0]!.exits).toBe(before + 4);
    expect([0, 4, 8, 12].map((offset) => access.readBar(0, 32 + offset, 4))).toEqual([
      0xfee01000, 0, 0x77, 1,
    ]);
    expect(realTable(guest, 2)).toEqual([0, 0, 0, 1]);
  });

  test("whose page is mapped is the device's: the guest's writes reach it, and QEMU sees none", () => {
    const guest = assigned({ noMsixEmulation: true });
    const { program, vmm } = guest;
    const before = vmm.vcpus[0]!.exits;
    program(2, 0x77, 1);
    expect(vmm.vcpus[0]!.exits).toBe(before);
    expect(realTable(guest, 2)).toEqual([0xfee01000, 0, 0x77, 1]);
  });

  test("traps all of its page, but what lies beside it reaches the device", () => {
    const seen: number[] = [];
    const machine = virtualMachine();
    const { fn: real } = machine.plug(0x300, {
      bars: [{ index: 0, size: 0x4000, write: (offset) => void seen.push(offset), read: (offset) => offset }],
      msix: { vectors: 2, table: { bar: 0, offset: 0x1000 }, pba: { bar: 0, offset: 0x3000 } },
    });
    const { vmm, bus } = machine;
    const options = {
      name: "x",
      requester: 0x20,
      file: { name: "x" },
      access: real,
      regions: regionsOf(real),
    };
    const device = vfioRealize(vmm, options);
    bus.plug(device.fn);
    const access = bus.access(device.fn);
    const { exits } = vmm.vcpus[0]!;
    access.writeBar(0, 0x0ff0, 4, 1);
    access.writeBar(0, 0x2000, 2, 1);
    expect(vmm.vcpus[0]!.exits).toBe(exits);
    access.writeBar(0, 0x1100, 4, 1);
    expect(access.readBar(0, 0x1100, 2)).toBe(0x1100);
    expect(vmm.vcpus[0]!.exits).toBe(exits + 2);
    expect(seen).toEqual([0x0ff0, 0x2000, 0x1100]);
  });
});

describe("vectors that may send already when MSI-X is enabled", () => {
  test("are routed in one batch, listened for, and only then asked for, in one request", () => {
    const { program, control, taken } = assigned({ vectors: 3, noresize: true });
    for (const vector of [0, 1, 2]) program(vector, 0x40 + vector);
    taken();
    control(enable);
    expect(taken()).toEqual([
      "routes 24:64 25:65 26:66",
      "irqfd 24",
      "irqfd 25",
      "irqfd 26",
      "msix 0 [kvm kvm kvm]",
    ]);
  });

  test("are asked for after MSI-X is enabled without any, where the host can add vectors", () => {
    const { program, control, taken } = assigned({ vectors: 2 });
    program(1, 0x41);
    taken();
    control(enable);
    expect(taken()).toEqual(["routes 24:65", "irqfd 24", "msix 0 [-]", "msix 0 [- kvm]"]);
  });
});

describe("a guest like Linux, which enables MSI-X first and unmasks later,", () => {
  test.each<[Release, string[]]>([
    ["7.0", ["routes 24:64 25:65", "irqfd 25", "msix 1 [kvm]"]],
    ["5.4", ["routes 24:64 25:65", "irqfd 25", "msix 0 []", "msix 0 [kvm kvm]"]],
  ])("gets vectors one by one on a host that runs %s", (release, second) => {
    const { program, control, taken } = assigned({ release });
    taken();
    control(enable | functionMask);
    control(enable);
    expect(taken()).toEqual(["msix 0 [-]"]);
    program(0, 0x40);
    const first = release === "7.0" ? ["msix 0 [kvm]"] : ["msix 0 []", "msix 0 [kvm]"];
    expect(taken()).toEqual(["routes 24:64", "irqfd 24", ...first]);
    program(1, 0x41);
    expect(taken()).toEqual(second);
  });

  test("changes a message while the vector is masked: the route follows when it is unmasked", () => {
    const { program, control, taken, access } = assigned();
    control(enable);
    program(0, 0x40);
    taken();
    access.writeBar(0, 12, 4, 1);
    expect(taken()).toEqual(["msix 0 [qemu]"]);
    access.writeBar(0, 8, 4, 0x55);
    expect(taken()).toEqual([]);
    access.writeBar(0, 12, 4, 0);
    expect(taken()).toEqual(["routes 24:85", "msix 0 [kvm]"]);
  });
});

describe("an interrupt that reaches QEMU", () => {
  test("is sent from the main loop, where KVM has no route", () => {
    const { vmm, program, control, taken, device } = assigned({ noKvmRoutes: true });
    control(enable);
    program(1, 0x41);
    expect(taken()).toEqual(["msix 0 [-]", "msix 1 [qemu]"]);
    device.vectors.get(1)!.interrupt.eventfd.count = 2;
    const frames = framesAt(vmm, "kvm_irqchip_send_msi");
    runMainLoop(vmm);
    expect(taken()).toEqual(["signal 65"]);
    expect(frames).toEqual([
      [
        "kvm_irqchip_send_msi",
        "kvm_send_msi",
        "kvm_apic_mem_write",
        "memory_region_write_accessor",
        "access_with_adjusted_size",
        "memory_region_dispatch_write",
        "address_space_stl_internal",
        "address_space_stl_le",
        "vfio_msi_interrupt",
        "aio_dispatch_handlers",
        "aio_dispatch",
        "aio_ctx_dispatch",
        "g_main_context_dispatch_unlocked",
        "g_main_context_dispatch",
        "glib_pollfds_poll",
        "os_host_main_loop_wait",
        "main_loop_wait",
        "qemu_main_loop",
        "qemu_default_main",
        "main",
      ],
    ]);
  });

  test("of a masked vector is pending, where the guest sees it, until the vector is unmasked", () => {
    const { vmm, program, control, taken, device, access } = assigned();
    const pba = 4096;
    control(enable);
    program(1, 0x41);
    access.writeBar(0, 28, 4, 1);
    taken();
    device.vectors.get(1)!.interrupt.eventfd.count = 1;
    runMainLoop(vmm);
    expect(taken()).toEqual([]);
    expect(access.readBar(0, pba, 4)).toBe(2);
    access.writeBar(0, 28, 4, 0);
    expect(taken()).toEqual(["routes 24:65", "msix 1 [kvm]", "signal 65"]);
    expect(access.readBar(0, pba, 4)).toBe(0);
  });

  test("goes nowhere once the guest has taken bus mastering from the function", () => {
    const { vmm, program, control, taken, device, access } = assigned({ noKvmRoutes: true });
    control(enable);
    program(0, 0x40);
    access.writeConfig(configOffset.commandStatus, 2, 2);
    taken();
    device.vectors.get(0)!.interrupt.eventfd.count = 1;
    runMainLoop(vmm);
    expect(taken()).toEqual([]);
  });
});

test("a route that KVM does not listen for falls back to QEMU", () => {
  const { program, control, taken, kvm, vmm } = assigned();
  kvm.onRequest = ({ request }) => (request === "KVM_IRQFD" ? -16 : 0);
  control(enable);
  program(0, 0x40);
  expect(taken()).toEqual(["msix 0 [-]", "routes 24:64", "irqfd 24", "msix 0 [qemu]"]);
  expect(vmm.routes.used.size).toBe(0);
});

describe("giving up", () => {
  test("MSI-X takes back listeners, routes and vectors", () => {
    const { program, control, taken, vmm, device } = assigned();
    control(enable);
    program(0, 0x40);
    program(1, 0x41);
    taken();
    control(0);
    expect(taken()).toEqual(["msix 0 [qemu]", "msix 1 [qemu]", "msix 0 []", "deassign 24", "deassign 25"]);
    expect([vmm.routes.used.size, vmm.routes.entries, device.vectors.size]).toEqual([0, [], 0]);
    expect(vmm.ioHandlers.handlers).toHaveLength(1);
    control(enable);
    expect(taken()).toEqual(["routes 24:64 25:65", "irqfd 24", "irqfd 25", "msix 0 [-]", "msix 0 [kvm kvm]"]);
  });

  test("the device does too, and leaves the guest's address space", () => {
    const { program, control, taken, vmm, device, bus, access } = assigned();
    control(enable);
    program(0, 0x40);
    taken();
    vfioExitfn(vmm, device, bus);
    // A vector that can send is released twice: by MSI-X, which is enabled still, and by VFIO itself.
    expect(taken()).toEqual(["msix 0 [qemu]", "msix 0 [qemu]", "msix 0 []", "deassign 24"]);
    expect(vmm.routes.used.size).toBe(0);
    expect(vmm.memory.view.ranges).toHaveLength(3);
    expect(access.readConfig(0, 4)).toBe(0xffffffff);
  });
});

/** A guest that has programmed MSI, and not yet enabled it. */
function withMsi(options: Options = {}) {
  const guest = assigned({ msi: true, ...options });
  const { access, capability } = guest;
  access.writeConfig(capability + 4, 4, 0xfee01000);
  access.writeConfig(capability + 12, 2, 0x50);
  guest.taken();
  /** Enables 2^n vectors. */
  const start = (n: number): void => access.writeConfig(capability + 2, 2, 1 | (n << 4));
  return { ...guest, start };
}

describe("MSI", () => {
  test("is enabled with all its vectors at once, and follows the message while it is on", () => {
    const { start, taken, access, capability } = withMsi();
    start(1);
    expect(taken()).toEqual(["routes 24:80 25:81", "irqfd 24", "irqfd 25", "msi 0 [kvm kvm]"]);
    access.writeConfig(capability + 12, 2, 0x60);
    expect(taken()).toEqual(["routes 24:96 25:81", "routes 24:96 25:97"]);
    access.writeConfig(capability + 2, 2, 0);
    expect(taken()).toEqual(["msi 0 []", "deassign 24", "deassign 25"]);
  });

  test("makes do with as many vectors as the host has", () => {
    const { start, taken, vfio, device } = withMsi();
    vfio.result = (request) =>
      request.request === "VFIO_DEVICE_SET_IRQS" && request.index === "msi" && request.eventfds.length > 1
        ? 1
        : 0;
    start(2);
    expect(taken().filter((line) => line.startsWith("msi"))).toEqual([
      "msi 0 [kvm kvm kvm kvm]",
      "msi 0 [kvm]",
    ]);
    expect(device.vectors.size).toBe(1);
  });

  test("stays off where the host refuses", () => {
    const { start, vfio, device, vmm } = withMsi();
    vfio.result = () => -22;
    start(0);
    expect([device.interrupt, device.vectors.size, vmm.routes.used.size]).toEqual(["none", 0, 0]);
  });

  test("that QEMU delivers is sent with the vector's number, or is pending while it is masked", () => {
    const { start, taken, vmm, device, access, capability } = withMsi({ noKvmRoutes: true });
    start(2);
    access.writeConfig(capability + 16, 4, 1 << 3);
    taken();
    for (const number of [2, 3]) device.vectors.get(number)!.interrupt.eventfd.count = 1;
    runMainLoop(vmm);
    expect(taken()).toEqual(["signal 82"]);
    expect(access.readConfig(capability + 20, 4)).toBe(1 << 3);
  });
});

test("the guest sees the device's ids and class, and its own addresses", () => {
  const { access, real } = assigned();
  expect(access.readConfig(0, 4)).toBe(real.readConfig(0, 4));
  expect(access.readConfig(8, 4) >>> 8).toBe(0x020000);
  expect(access.readConfig(configOffset.bar0, 4)).toBeGreaterThanOrEqual(0xc000_0000);
  expect(real.readConfig(configOffset.bar0, 4)).toBe(0);
});
