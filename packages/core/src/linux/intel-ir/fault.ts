import { decode, encode } from "../../spec/codec.ts";
import { printRequester } from "../../spec/requester.ts";
import { faultNameOf, faultReasons } from "../../spec/vtd/faults.ts";
import { faultRecord, faultStatus, interruptFaultInfo } from "../../spec/vtd/registers.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { intelRemapping } from "./remapping-state.ts";
import type { IntelIommu } from "./unit.ts";

/** PRIMARY_FAULT_REG_LEN */
const recordBytes = faultRecord.width / 8;

/** The reasons for which the driver has names of its own; later ones count as DMA faults of unknown reason. */
const named = { first: faultReasons.requestReserved.code, last: faultReasons.sidMismatch.code };

interface FaultRecord {
  readonly reason: number;
  readonly requester: number;
  /** FI with its low 12 bits, as an address. */
  readonly info: bigint;
  /** T1: a read. */
  readonly read: boolean;
}

/** Prints one fault, in the words of the release. */
const dmarFaultDoOne = kernelFunction("dmar_fault_do_one", (k: Kernel, fault: FaultRecord): void => {
  const { reason, requester, info, read } = fault;
  const device = `Request device [${printRequester(requester)}]`;
  const decimal = k.runs({ below: "5.14" });
  const code = decimal ? reason.toString().padStart(2, "0") : `0x${reason.toString(16).padStart(2, "0")}`;
  const number = (value: bigint): string => (decimal ? "" : "0x") + value.toString(16);
  const name = faultNameOf(reason);
  const text = `[fault reason ${code}] ${name === undefined ? "Unknown" : faultReasons[name].linux}`;
  if (reason >= named.first && reason <= named.last) {
    const { index } = decode(interruptFaultInfo, info);
    k.log.err(`DMAR: [INTR-REMAP] ${device} fault index ${number(BigInt(index))} ${text}`);
    return;
  }
  // linux.dmar.posted-fault-as-dma
  const type = read ? "DMA Read" : "DMA Write";
  k.log.err(
    decimal
      ? `DMAR: [${type}] ${device} PASID ffffffff fault addr ${number(info)} ${text}`
      : `DMAR: [${type} NO_PASID] ${device} fault addr ${number(info)} ${text}`,
  );
});

/** Where a record lies in the register page. */
function recordOffset(iommu: IntelIommu, record: number): number {
  return Number(iommu.cap.fro) * recordBytes + record * recordBytes;
}

function readRecord(iommu: IntelIommu, record: number): FaultRecord {
  const offset = recordOffset(iommu, record);
  const low = iommu.drhd.unit.read(offset, 64);
  const high = iommu.drhd.unit.read(offset + 8, 64);
  const { fr, sid, t1 } = decode(faultRecord, (high << 64n) | low);
  return { reason: Number(fr), requester: Number(sid), info: (low >> 12n) << 12n, read: t1 === 1 };
}

function isFault(iommu: IntelIommu, record: number): boolean {
  const upper = iommu.drhd.unit.read(recordOffset(iommu, record) + 12, 32);
  return decode(faultRecord, upper << 96n).f === 1;
}

/** Clears F of a record, by writing one to it. */
function clearRecord(iommu: IntelIommu, record: number): void {
  iommu.drhd.unit.write(recordOffset(iommu, record) + 12, 32, encode(faultRecord, { f: 1 }) >> 96n);
}

/** Prints and clears what a unit has recorded; a burst is cleared in silence. */
function handleFaults(k: Kernel, iommu: IntelIommu): void {
  const { faultRatelimit } = intelRemapping(k);
  const status = iommu.read("FSTS");
  if (status !== 0n && faultRatelimit.allows(k)) {
    k.log.err(`DMAR: DRHD: handling fault status reg ${status.toString(16)}`);
  }
  const { ppf, fri } = decode(faultStatus, status);
  if (ppf === 0) return;
  const records = Number(iommu.cap.nfr) + 1;
  for (let record = Number(fri); ; record = (record + 1) % records) {
    const printed = faultRatelimit.allows(k);
    if (!isFault(iommu, record)) break;
    const fault = readRecord(iommu, record);
    clearRecord(iommu, record);
    if (printed) dmarFaultDoOne(k, fault);
  }
  iommu.write("FSTS", encode(faultStatus, { pfo: 1, ppf: 1 }));
}

/** The handler of a unit's fault event, called without one too, to clear what is there. */
export const dmarFault = kernelFunction(
  "dmar_fault",
  (k: Kernel, _irq: number, cookie: unknown): "handled" => {
    handleFaults(k, cookie as IntelIommu);
    return "handled";
  },
);
