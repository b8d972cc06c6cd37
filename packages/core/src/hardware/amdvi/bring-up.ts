import { encode } from "../../spec/codec.ts";
import { control, deviceTableBase, registers, ringBase } from "../../spec/amdvi/registers.ts";

/** A ring buffer in memory: its physical address, a multiple of 4096, and its length field, 8 to 15. */
export interface Ring {
  readonly base: number;
  /** 2^(length+4) bytes; 8, one page, unless told. */
  readonly length?: number;
}

/** How a unit is to be brought up. */
export interface UnitSetup {
  /** Physical address of the device table, a multiple of 4096. */
  readonly deviceTable: number;
  /** Pages of the device table, 1 to 512; 512, which hold all 65,536 devices, unless told. */
  readonly pages?: number;
  /** 128-bit interrupt table entries. */
  readonly ga?: boolean;
  /** Guest-mode entries; asks for `ga`. */
  readonly guestMode?: boolean;
  /** x2APIC mode: 32-bit destinations. */
  readonly x2apic?: boolean;
  /** 2048 interrupts a device. */
  readonly index2048?: boolean;
  readonly commands?: Ring;
  readonly events?: Ring;
  readonly guestLog?: Ring;
  /** Interrupts for events, guest log entries and completed waits. */
  readonly interrupts?: boolean;
}

interface RegisterWriter {
  write(offset: number, width: 32 | 64, value: bigint): void;
}

/** Writes a unit's registers in the order in which software does: tables and buffers first, control last. */
export function bringUp(unit: RegisterWriter, setup: UnitSetup): void {
  const table = encode(deviceTableBase, { base: setup.deviceTable, size: (setup.pages ?? 512) - 1 });
  unit.write(registers.DEV_TAB_BASE.offset, 64, table);
  writeRing(unit, registers.CMD_BUF_BASE.offset, setup.commands);
  writeRing(unit, registers.EVT_LOG_BASE.offset, setup.events);
  writeRing(unit, registers.GA_LOG_BASE.offset, setup.guestLog);
  unit.write(registers.CONTROL.offset, 64, controlOf(setup));
}

/** The value of the control register that a setup asks for. */
export function controlOf(setup: UnitSetup): bigint {
  const interrupts = flag(setup.interrupts);
  return encode(control, {
    iommuen: 1,
    gaen: flag(setup.ga),
    gamen: flag(setup.guestMode),
    xten: flag(setup.x2apic),
    numintremapmode: flag(setup.index2048),
    cmdbufen: flag(setup.commands !== undefined),
    evtlogen: flag(setup.events !== undefined),
    galogen: flag(setup.guestLog !== undefined),
    evtinten: interrupts,
    gainten: interrupts,
    comwaitinten: interrupts,
  });
}

function writeRing(unit: RegisterWriter, offset: number, ring: Ring | undefined): void {
  if (ring !== undefined)
    unit.write(offset, 64, encode(ringBase, { base: ring.base, length: ring.length ?? 8 }));
}

function flag(on: boolean | undefined): 0 | 1 {
  return on === true ? 1 : 0;
}
