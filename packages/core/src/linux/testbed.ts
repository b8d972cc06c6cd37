import { Calls } from "../hardware/call-stack.ts";
import { ApicFabric } from "../hardware/lapic/fabric.ts";
import { LocalApic } from "../hardware/lapic/local-apic.ts";
import { CpuCache } from "../hardware/cpu-cache.ts";
import { Memory } from "../hardware/memory.ts";
import { AmdviUnit } from "../hardware/amdvi/unit.ts";
import { type AmdviProfile, amdviStrict } from "../hardware/amdvi/profile.ts";
import { PciFunction, type PciFunctionOptions } from "../hardware/pci/function.ts";
import { RootComplex } from "../hardware/pci/root-complex.ts";
import { type VtdProfile, vtdStrict } from "../hardware/vtd/profile.ts";
import { VtdUnit } from "../hardware/vtd/unit.ts";
import { decode } from "../spec/codec.ts";
import { configOffset } from "../spec/pci/config-header.ts";
import { printRequester } from "../spec/requester.ts";
import type { RuleId } from "../spec/rules.ts";
import { extendedCapability } from "../spec/vtd/registers.ts";
import type { Firmware } from "./firmware.ts";
import { interrupt } from "./irq/entry.ts";
import { Kernel, type KernelOptions, type Release } from "./kernel.ts";
import { LocalCpu } from "./local-cpu.ts";
import { PciDevice } from "./pci/device.ts";

export interface HostOptions {
  readonly vendor?: "intel" | "amd" | "none";
  readonly release?: Release;
  readonly cpus?: number;
  readonly commandLine?: string;
  readonly profile?: VtdProfile;
  readonly amdviProfile?: AmdviProfile;
  /** Rung by the AMD unit for a virtual CPU that runs: the host APIC id. */
  readonly doorbell?: (apicId: number) => void;
  readonly firmware?: Partial<Firmware>;
  /** The kernel's posting protocol, where a step is left out. */
  readonly vmxPosting?: KernelOptions["vmxPosting"];
}

const commandMemoryAndMaster = 6;

/** A host with one remapping unit, for the tests of this room: hardware, and a kernel that has not brought it up. */
export function host(options: HostOptions = {}) {
  const { vendor = "intel", release = "7.0", cpus = 4, commandLine = "", profile = vtdStrict } = options;
  const memory = new Memory();
  const fabric = new ApicFabric(
    Array.from({ length: cpus }, (_, i) => i),
    { mode: "x2apic", softwareEnabled: true },
  );
  // A unit that does not snoop meets a CPU that keeps its writes to itself.
  const coherent = decode(extendedCapability, profile.extendedCapability).c === 1;
  const cpuCache = coherent ? {} : { cpuCache: new CpuCache(memory) };
  const violations: RuleId[] = [];
  const onViolation = (rule: RuleId): void => void violations.push(rule);
  const vtd = new VtdUnit({ memory, fabric, profile, onViolation, ...cpuCache });
  const amdvi = new AmdviUnit({
    memory,
    fabric,
    profile: options.amdviProfile ?? amdviStrict,
    ...(options.doorbell && { doorbell: options.doorbell }),
  });
  const unit = { intel: vtd, amd: amdvi, none: undefined }[vendor];
  const root = new RootComplex({ memory, fabric, ...(unit && { unit }) });
  const localCpus = Array.from({ length: cpus }, (_, i) => new LocalCpu(i, new LocalApic(fabric, i)));
  const firmware: Firmware = {
    ioapics: [{ id: 2, version: 0x20 }],
    hpets: [],
    x2apic: true,
    cx16: true,
    ...(vendor === "intel" && {
      dmar: {
        hostAddressWidth: 46,
        interruptRemapping: true,
        x2apicOptOut: false,
        units: [
          {
            base: 0xfed90000,
            segment: 0,
            includeAll: true,
            scopes: [{ kind: "ioapic", id: 2, requester: 0xf0f8 }],
            unit: vtd,
          },
        ],
      },
    }),
    ...(vendor === "amd" && {
      ivrs: {
        units: [
          {
            base: 0xfeb80000,
            segment: 0,
            requester: 0x0002,
            specials: [{ kind: "ioapic", id: 2, requester: 0x00a0 }],
            unit: amdvi,
          },
        ],
      },
    }),
    ...options.firmware,
  };
  const k = new Kernel({
    release,
    memory,
    ram: { from: 0x100_0000, to: 0x4000_0000 },
    calls: new Calls({ kernel: release, user: "9.2" }),
    cpus: localCpus,
    firmware,
    commandLine,
    ...cpuCache,
    ...(options.vmxPosting && { vmxPosting: options.vmxPosting }),
  });
  /** A function on the bus, with bus mastering on, and the kernel's view of it. */
  const plug = (requester: number, more: Partial<PciFunctionOptions> & { alias?: number } = {}) => {
    const { alias, ...rest } = more;
    const fn = new PciFunction({
      root,
      requester: alias ?? requester,
      vendor: 0x8086,
      device: 0x1572,
      ...rest,
    });
    fn.writeConfig(configOffset.commandStatus, 2, commandMemoryAndMaster);
    const device = new PciDevice({
      name: `0000:${printRequester(requester)}`,
      requester,
      access: fn,
      ...(alias !== undefined && { aliases: [alias] }),
    });
    k.devices.push(device);
    return { fn, device };
  };
  return { k, memory, fabric, vtd, amdvi, root, cpus: localCpus, plug, violations };
}

/**
 * Lets CPUs take what is pending at their local APICs, until nothing is.
 * @returns how many interrupts were taken.
 * @throws RangeError when that does not end.
 */
export function settle(k: Kernel, cpus: readonly LocalCpu[], limit = 10_000): number {
  let taken = 0;
  for (let idle = false; !idle;) {
    idle = true;
    for (const cpu of cpus) {
      while (cpu.localApic.pending() >= 0) {
        if (taken++ === limit) throw new RangeError(`interrupts: more than ${limit} in a row`);
        interrupt(k, cpu, cpu.localApic.acknowledge());
        idle = false;
      }
    }
  }
  return taken;
}

/** Options of a function with MSI-X vectors in BAR 0. */
export function withMsix(vectors: number): Partial<PciFunctionOptions> {
  const tableBytes = Math.ceil((16 * vectors) / 4096) * 4096;
  return {
    bars: [{ index: 0, size: Math.max(2 * 2 ** Math.ceil(Math.log2(tableBytes)), 8192) }],
    msix: { vectors, table: { bar: 0, offset: 0 }, pba: { bar: 0, offset: tableBytes } },
  };
}

/** The kernel's frames at each entry to a function while something runs, innermost first, with how often each came. */
export function stacksAt(k: Kernel, symbol: string, action: () => void): { frames: string; count: number }[] {
  const found = new Map<string, number>();
  const before = k.calls.listener;
  k.calls.listener = {
    entered: ({ name }) => {
      if (name !== symbol) return;
      const frames = k.calls.frames("kernel").join(" ");
      found.set(frames, (found.get(frames) ?? 0) + 1);
    },
    left: () => {},
  };
  try {
    action();
  } finally {
    k.calls.listener = before;
  }
  return [...found].map(([frames, count]) => ({ frames, count }));
}
