import * as x2apicLdr from "../../spec/accessors/x2apic-ldr.ts";
import * as xapicId from "../../spec/accessors/xapic-id.ts";
import * as clusterId from "../../spec/accessors/xapic-cluster-id.ts";
import * as format from "../../spec/accessors/apic-dfr.ts";
import { derivedLogicalId } from "../../hardware/lapic/state.ts";

/** Destinations that address every APIC, as KVM keeps them: unsigned. */
export const apicBroadcast = 0xff;
export const x2apicBroadcast = 0xffff_ffff;

const flatModel = 15;
const clusterModel = 0;

/** How logical destinations address a vCPU's APIC. */
export type LogicalMode = "x2apic" | "flat" | "cluster";

export interface LapicRegisters {
  readonly x2apic: boolean;
  readonly enabled: boolean;
  readonly softwareEnabled: boolean;
  /** LDR in xAPIC mode, int32; in x2APIC mode it follows from the id. */
  readonly ldr: number;
  /** DFR, int32: all ones for the flat model. */
  readonly dfr: number;
}

/**
 * `struct kvm_lapic`, as far as it decides which interrupts are a vCPU's: the registers by which it is addressed. The
 * vectors that it holds are in the page that hardware virtualizes.
 */
export class KvmLapic {
  readonly id: number;
  /** `apic_arb_prio`: how many lowest-priority interrupts it was given. */
  arbitrations = 0;
  /** Events of other delivery modes than fixed and lowest priority. */
  readonly events = { smi: 0, nmi: 0, init: 0 };
  /** Rises with every change of a register. */
  version = 0;
  #registers: LapicRegisters;

  /** In xAPIC mode LDR is as Linux programs it in a guest of up to eight processors: the flat model, a bit for each. */
  constructor(id: number, x2apic: boolean) {
    this.id = id;
    const ldr = id < 8 ? (1 << id) << xapicId.ID_SHIFT : 0;
    this.#registers = { x2apic, enabled: true, softwareEnabled: true, ldr, dfr: -1 };
  }

  /** The guest writes its registers. */
  write(registers: Partial<LapicRegisters>): void {
    this.#registers = { ...this.#registers, ...registers };
    this.version++;
  }

  /** On in IA32_APIC_BASE. */
  get enabled(): boolean {
    return this.#registers.enabled;
  }

  /** On in SVR too. */
  get softwareEnabled(): boolean {
    return this.#registers.softwareEnabled;
  }

  get x2apic(): boolean {
    return this.#registers.x2apic;
  }

  /** LDR, in the form that the mode has for it. */
  get ldr(): number {
    return this.x2apic ? derivedLogicalId(this.id) : this.#registers.ldr;
  }

  get dfr(): number {
    return this.#registers.dfr;
  }

  get logicalMode(): LogicalMode {
    if (this.x2apic) return "x2apic";
    return format.model(this.dfr) === flatModel ? "flat" : "cluster";
  }

  /** The logical id by which {@link logicalMode} addresses it: 32 bits in x2APIC mode, 8 bits otherwise. */
  get logicalId(): number {
    return this.x2apic ? this.ldr : xapicId.id(this.ldr);
  }

  /**
   * `kvm_apic_match_dest`: whether a message is addressed to it.
   * @param destination unsigned; KVM has replaced FFh where the broadcast quirk makes it wider.
   */
  matches(destination: number, logical: boolean): boolean {
    if (destination === (this.x2apic ? x2apicBroadcast : apicBroadcast)) return true;
    if (!logical) return destination === this.id;
    const own = this.logicalId;
    if (this.x2apic) {
      const sameCluster = x2apicLdr.cluster(own) === x2apicLdr.cluster(destination);
      return sameCluster && (x2apicLdr.members(own) & x2apicLdr.members(destination)) !== 0;
    }
    const model = format.model(this.dfr);
    if (model === flatModel) return (own & destination) !== 0;
    // What is compared is wider than the APIC's own id: a destination above FFh has no match.
    const sameCluster = clusterId.cluster(own) === destination >>> clusterId.CLUSTER_SHIFT;
    return model === clusterModel && sameCluster && (clusterId.members(own) & destination) !== 0;
  }
}
