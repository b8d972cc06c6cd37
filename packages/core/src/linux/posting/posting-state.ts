import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { vectors } from "../irq/vectors.ts";
import { type IrteState, irteStride } from "./irte-state.ts";
import { OwnIrtes, ownIrteWords } from "./own-irtes.ts";
import { type Shape, type ThreadPort, ThreadState } from "./words.ts";

/** What the steps of posting reach beyond what those of a thread do. */
export interface PostingPort extends ThreadPort {
  /** NDST that leads to a CPU: its APIC id as the APICs' mode has it. */
  destinationOf(cpu: number): number;
  /** A device's notification, to the APIC that an NDST names. */
  notify(ndst: number, vector: number): void;
  /** A CPU acknowledges an interrupt of its APIC and ends it. */
  acknowledge(cpu: number, vector: number): void;
  /** 32 vectors are ORed into IRR. @param part 0 to 7. */
  request(vcpu: number, part: number, vectors: number): void;
}

/** Notification vectors: of a vCPU that runs, and of one that waits to be woken. */
export const { POSTED_INTR: postedInterruptVector, POSTED_INTR_WAKEUP: wakeupVector } = vectors;

export interface PostingOptions {
  /**
   * Where the descriptors are, one after the other by vCPU, and the physical address of the first: in the memory of a
   * machine; beside the other words, from the first page on, unless told.
   */
  readonly descriptors?: { readonly words: Int32Array; readonly first: number; readonly address: number };
  /** Vectors above these multiples of 64 are never posted, so that nobody needs to look there; 4 unless told. */
  readonly quarters?: number;
  /** Words behind all others for whoever holds the state; none unless told. */
  readonly beside?: number;
}

const descriptorBytes = pid.WORDS * 4;
const firstPage = 0x1000;

/**
 * The state of VMX's posting protocol: descriptors and entries in their real layouts, and what threads and CPUs share.
 * On a machine it has no entries: there each is its driver's own.
 */
export class PostingState extends ThreadState implements IrteState {
  readonly port: PostingPort;
  readonly descriptors: Int32Array;
  readonly irtes: OwnIrtes;
  readonly quarters: number;
  readonly #first: number;
  readonly #address: number;
  readonly #driver: number;
  readonly #entries: number;

  constructor(shape: Shape, port: PostingPort, options: PostingOptions = {}) {
    const own = options.descriptors === undefined ? shape.vcpus * pid.WORDS : 0;
    super(
      { ...shape, entries: 0 },
      own + shape.entries * (irteStride + ownIrteWords) + (options.beside ?? 0),
    );
    this.port = port;
    this.descriptors = options.descriptors?.words ?? this.words;
    this.#first = options.descriptors?.first ?? this.more;
    this.#address = options.descriptors?.address ?? firstPage;
    this.#driver = this.more + own;
    this.#entries = shape.entries;
    this.irtes = new OwnIrtes(this.words, this.#driver + shape.entries * irteStride);
    this.quarters = options.quarters ?? 4;
  }

  /** The first of the words that were asked for beside the state's own. */
  get beside(): number {
    return this.irtes.tableAt(this.#entries);
  }

  /** Where the driver's words of an entry begin. */
  irteAt(entry: number): number {
    return this.#driver + entry * irteStride;
  }

  /** The physical address of a vCPU's descriptor. */
  addressOf(vcpu: number): number {
    return this.#address + vcpu * descriptorBytes;
  }

  /** The vCPU whose descriptor is at an address, given as int32 halves. */
  vcpuOf(low: number, high: number): number {
    return ((high >>> 0) * 2 ** 32 + (low >>> 0) - this.#address) / descriptorBytes;
  }

  /** The first word of a vCPU's descriptor, in {@link descriptors}. */
  descriptorAt(vcpu: number): number {
    return this.#first + vcpu * pid.WORDS;
  }

  /** As `vmx_vcpu_create` leaves it: no notification before the first load. */
  resetDescriptor(vcpu: number): void {
    const at = this.descriptorAt(vcpu);
    this.descriptors.fill(0, at, at + pid.WORDS);
    this.descriptors[at + pid.SN_WORD] = pid.SN_MASK | (postedInterruptVector << pid.NV_SHIFT);
  }
}
