import { AmdviUnit } from "../hardware/amdvi/unit.ts";
import { CpuCache } from "../hardware/cpu-cache.ts";
import type { Observer } from "../hardware/event.ts";
import { Hpet } from "../hardware/hpet.ts";
import { ApicFabric } from "../hardware/lapic/fabric.ts";
import { LocalApic } from "../hardware/lapic/local-apic.ts";
import { Memory } from "../hardware/memory.ts";
import { PciFunction } from "../hardware/pci/function.ts";
import { RootComplex } from "../hardware/pci/root-complex.ts";
import { amdviProfileNamed, vtdProfileNamed } from "../hardware/profile.ts";
import { VtdUnit } from "../hardware/vtd/unit.ts";
import type { Firmware } from "../linux/firmware.ts";
import { LocalCpu } from "../linux/local-cpu.ts";
import { ShapeError } from "../spec/shape.ts";
import { extendedCapability } from "../spec/vtd/registers.ts";
import { decode } from "../spec/codec.ts";
import { msixEntryBytes } from "../spec/pci/msix.ts";
import { WatchedFabric } from "./watched-fabric.ts";
import { type UnitFault, WatchedUnit } from "./watched-unit.ts";
import type { DeviceSettings, MachineSettings } from "./scenario/scenario.ts";

/** Where firmware has put things. */
const place = {
  vtd: 0xfed9_0000,
  amdvi: 0xfeb8_0000,
  amdviRequester: 0x0002,
  ioapicId: 2,
  /** As on the machines of the captures: f0:1f.0 on Intel's, the south bridge 00:14.0 on AMD's. */
  ioapicRequester: { intel: 0xf0f8, amd: 0x00a0 },
  hpetId: 0,
} as const;

const pageBytes = 4096;

export interface HardwareOptions {
  readonly settings: MachineSettings;
  readonly observer?: Observer;
  readonly onBlocked: (fault: UnitFault) => void;
  /** A doorbell rings at the processor with this APIC id. */
  readonly onDoorbell: (apicId: number) => void;
}

/** A machine's hardware, as it stands when it is turned on. */
export class Hardware {
  readonly settings: MachineSettings;
  readonly memory = new Memory();
  readonly apics: ApicFabric;
  readonly fabric: WatchedFabric;
  readonly cpus: readonly LocalCpu[];
  readonly cpuCache: CpuCache | undefined;
  readonly vtd: VtdUnit | undefined;
  readonly amdvi: AmdviUnit | undefined;
  readonly unit: WatchedUnit | undefined;
  readonly root: RootComplex;
  readonly hpet: Hpet | undefined;
  readonly #observer: Observer | undefined;

  /** @throws ShapeError when the settings name no profile of their vendor. */
  constructor({ settings, observer, onBlocked, onDoorbell }: HardwareOptions) {
    const { cpus, vendor, profile } = settings;
    const { memory } = this;
    const watching = observer !== undefined && { observer };
    this.settings = settings;
    this.#observer = observer;
    this.apics = new ApicFabric(
      Array.from({ length: cpus }, (_, id) => id),
      { softwareEnabled: true, ...watching },
    );
    this.fabric = new WatchedFabric(this.apics);
    this.cpus = Array.from({ length: cpus }, (_, i) => new LocalCpu(i, new LocalApic(this.apics, i)));
    const { fabric } = this;
    if (vendor === "intel") {
      const chosen = vtdProfileNamed(profile) ?? unknownProfile(profile, "vtd-…");
      if (decode(extendedCapability, chosen.extendedCapability).c === 0) this.cpuCache = new CpuCache(memory);
      const cached = this.cpuCache !== undefined && { cpuCache: this.cpuCache };
      this.vtd = new VtdUnit({ memory, fabric, profile: chosen, ...watching, ...cached });
    } else {
      const chosen = amdviProfileNamed(profile) ?? unknownProfile(profile, "amdvi-…");
      this.amdvi = new AmdviUnit({ memory, fabric, profile: chosen, ...watching, doorbell: onDoorbell });
    }
    const unit = this.vtd ?? this.amdvi!;
    this.unit = settings.firmware.unit ? new WatchedUnit(unit, onBlocked) : undefined;
    this.root = new RootComplex({ memory, fabric, ...(this.unit && { unit: this.unit }), ...watching });
    if (settings.firmware.hpet) {
      this.hpet = new Hpet({ root: this.root, requester: place.ioapicRequester[vendor], timers: 1 });
    }
  }

  /** Puts a function on the bus. */
  plug(device: DeviceSettings): PciFunction {
    const tableBytes = Math.ceil((msixEntryBytes * device.msix) / pageBytes) * pageBytes;
    return new PciFunction({
      root: this.root,
      requester: device.alias ?? device.at,
      vendor: 0x8086,
      device: 0x1572,
      classCode: 0x02_0000,
      ...(device.msix > 0 && {
        bars: [
          // Registers of the device's own, then the table and the Pending Bit Array on pages of their own.
          { index: 0, size: 2 ** Math.ceil(Math.log2(2 * pageBytes + tableBytes)), kind: "memory64" },
        ],
        msix: {
          vectors: device.msix,
          table: { bar: 0, offset: pageBytes },
          pba: { bar: 0, offset: pageBytes + tableBytes },
        },
      }),
      ...(device.msi > 0 && { msi: { vectors: device.msi as 1 | 2 | 4 | 8 | 16 | 32, masking: true } }),
    });
  }

  /** As in a suspend to memory; what lies in memory stays. */
  losePower(): void {
    this.vtd?.reset();
    this.amdvi?.reset();
  }

  /** What firmware tells a kernel of it. */
  firmware(kdump: boolean): Firmware {
    const { vendor, firmware, x2apic } = this.settings;
    const requester = place.ioapicRequester[vendor];
    const scopes = [
      ...(firmware.ioapicScope ? [{ kind: "ioapic", id: place.ioapicId, requester } as const] : []),
      ...(firmware.hpet ? [{ kind: "hpet", id: place.hpetId, requester } as const] : []),
    ];
    return {
      ioapics: [{ id: place.ioapicId, version: 0x20 }],
      hpets: firmware.hpet ? [{ id: place.hpetId }] : [],
      x2apic,
      cx16: true,
      kdump,
      ...(this.vtd !== undefined &&
        firmware.unit && {
          dmar: {
            hostAddressWidth: 46,
            interruptRemapping: firmware.remapping,
            x2apicOptOut: firmware.x2apicOptOut,
            units: [{ base: place.vtd, segment: 0, includeAll: true, scopes, unit: this.vtd }],
          },
        }),
      ...(this.amdvi !== undefined &&
        firmware.unit && {
          ivrs: {
            units: [
              {
                base: place.amdvi,
                segment: 0,
                requester: place.amdviRequester,
                specials: scopes,
                unit: this.amdvi,
              },
            ],
          },
        }),
    };
  }

  get observer(): Observer | undefined {
    return this.#observer;
  }
}

function unknownProfile(name: string, expected: string): never {
  throw new ShapeError(
    "machine.profile",
    `there is no profile "${name}" of this vendor, expected ${expected}`,
  );
}
