import { decode } from "../../spec/codec.ts";
import {
  capabilityIds,
  configOffset,
  firstCapability,
  msiCapability32,
  msiCapability64,
  msiControl,
  msixCapability,
  pciClass,
  pciCommandStatus,
  pciId,
} from "../../spec/pci/index.ts";
import { littleEndian } from "../byte-source.ts";
import type { MsiState, MsixState } from "../host/device.ts";

/** What the configuration space of a function says. */
export interface PciConfig {
  readonly vendorId: number;
  readonly deviceId: number;
  /** 24 bits: class, subclass, programming interface. */
  readonly classCode: number;
  /** Absent where there is no such capability, or the bytes end before it. */
  readonly msi?: MsiState;
  readonly msix?: MsixState;
  /** Whether all capabilities were there to be read. */
  readonly complete: boolean;
}

const headerBytes = 64;
const legacyBytes = 256;

/** Undefined for fewer bytes than a header, and for a function that does not answer: all its bits are ones. */
export function readPciConfig(bytes: Uint8Array): PciConfig | undefined {
  if (bytes.length < headerBytes) return undefined;
  const dword = (offset: number): bigint => littleEndian(bytes.subarray(offset, offset + 4));
  if (dword(configOffset.commandStatus) === 0xffff_ffffn) return undefined;
  const id = decode(pciId, dword(configOffset.id));
  const found: { msi?: MsiState; msix?: MsixState } = {};
  let { list, complete } = capabilitiesIn(bytes);
  for (const at of list) {
    if (bytes[at] === capabilityIds.msi) {
      const msi = readMsi(bytes, at);
      if (msi === undefined) complete = false;
      else found.msi ??= msi;
    } else if (bytes[at] === capabilityIds.msix) {
      const msix = readMsix(bytes, at);
      if (msix === undefined) complete = false;
      else found.msix ??= msix;
    }
  }
  return {
    vendorId: Number(id.vendor),
    deviceId: Number(id.device),
    classCode: Number(dword(configOffset.classRevision) >> BigInt(pciClass.fields.interface.parts[0]![1])),
    ...found,
    complete,
  };
}

/**
 * Where the capabilities of a function stand, in the order of its list; `complete`: the bytes hold all of it.
 * @param bytes its configuration space, at least the header.
 */
export function capabilitiesIn(bytes: Uint8Array): {
  readonly list: readonly number[];
  readonly complete: boolean;
} {
  const list = new Set<number>();
  const status = littleEndian(bytes.subarray(configOffset.commandStatus, configOffset.commandStatus + 4));
  const listed = decode(pciCommandStatus, status).caplist === 1;
  for (let at = listed ? bytes[configOffset.capabilities]! & ~3 : 0; at >= firstCapability;) {
    if (list.has(at)) break;
    if (at + 4 > Math.min(bytes.length, legacyBytes)) return { list: [...list], complete: false };
    list.add(at);
    at = bytes[at + 1]! & ~3;
  }
  return { list: [...list], complete: true };
}

function readMsi(bytes: Uint8Array, at: number): MsiState | undefined {
  const control = decode(msiControl, littleEndian(bytes.subarray(at, at + 4)));
  const layout = control.c64 === 1 ? msiCapability64 : msiCapability32;
  const end = at + layout.width / 8;
  if (end > bytes.length) return undefined;
  const capability = decode(layout, littleEndian(bytes.subarray(at, end)));
  return {
    enabled: control.en === 1,
    used: 1 << Number(control.mme),
    available: 1 << Number(control.mmc),
    message: { address: BigInt(capability.address), data: Number(capability.data) },
  };
}

function readMsix(bytes: Uint8Array, at: number): MsixState | undefined {
  const end = at + msixCapability.width / 8;
  if (end > bytes.length) return undefined;
  const capability = decode(msixCapability, littleEndian(bytes.subarray(at, end)));
  return {
    enabled: capability.en === 1,
    masked: capability.fm === 1,
    available: Number(capability.size) + 1,
    bar: Number(capability.tablebir),
    offset: Number(capability.tableoffset),
  };
}
