import { pidPointer, virtualApicPage, virtualApicStride, vmxExitReasons } from "../../spec/apic/vmx.ts";
import { fromWords, toWords } from "../../spec/codec.ts";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import type { Observer } from "../../hardware/event.ts";
import { ApicFabric } from "../../hardware/lapic/fabric.ts";
import { LocalApic } from "../../hardware/lapic/local-apic.ts";
import { strideShift, word } from "../../hardware/lapic/state.ts";
import { Memory } from "../../hardware/memory.ts";
import { Post } from "../../hardware/posting/descriptor.ts";
import { group } from "../../hardware/posting/vector-page.ts";
import { VirtualApic, noExit } from "../../hardware/posting/vmx.ts";
import { type VmxControls, postingControls } from "../../hardware/posting/vmx-settings.ts";
import { RecordingFabric } from "../../hardware/recording-fabric.ts";
import { collect, vectorsIn } from "./message.ts";
import { type JsonObject, hexOf } from "../../spec/shape.ts";
import type { Happenings } from "./subject.ts";

/** Where the structures of the virtual processor lie. */
const place = { page: 0x1_0000, descriptor: 0x2_0000, pointers: 0x3_0000 } as const;
const groupWords = 8;

export interface VmxSetup {
  readonly controls?: readonly (readonly [keyof VmxControls, 0 | 1])[];
  readonly vtpr?: number;
  readonly rvi?: number;
  readonly svi?: number;
  readonly virr?: readonly number[];
  readonly visr?: readonly number[];
  readonly eoiExits?: bigint;
  readonly notificationVector?: number;
  readonly interruptWindow?: 0 | 1;
  readonly descriptors?: readonly (readonly [number, bigint])[];
  readonly pointers?: readonly (readonly [number, bigint])[];
  readonly lastPointer?: number;
  readonly tprThreshold?: number;
  readonly hostX2apic?: 0 | 1;
  readonly physicalAddressBits?: number;
}

/** One virtual processor in guest mode, on a processor with a local APIC. */
export class VmxBench {
  readonly #memory = new Memory();
  readonly #fabric = new RecordingFabric();
  readonly #physical: ApicFabric;
  readonly #apic: LocalApic;
  readonly #virtual: VirtualApic;

  constructor(setup: VmxSetup, _profile: null, observer: Observer | undefined) {
    for (const [address, value] of setup.descriptors ?? []) {
      this.#memory.writeWords(address, toWords(value, postedDescriptor.width));
    }
    for (const [id, value] of setup.pointers ?? []) {
      this.#memory.writeWords(place.pointers + (pidPointer.width / 8) * id, toWords(value, pidPointer.width));
    }
    this.#physical = new ApicFabric([0], { mode: "x2apic", softwareEnabled: true });
    this.#apic = new LocalApic(this.#physical, 0);
    const changed = Object.fromEntries((setup.controls ?? []).map(([name, on]) => [name, on === 1]));
    this.#virtual = new VirtualApic(
      this.#memory,
      {
        controls: { ...postingControls, ...changed },
        virtualApic: place.page,
        descriptor: place.descriptor,
        notificationVector: setup.notificationVector ?? 0xf2,
        eoiExitBitmap: setup.eoiExits ?? 0n,
        pidPointerTable: place.pointers,
        lastPidPointerIndex: setup.lastPointer ?? 0,
        tprThreshold: setup.tprThreshold ?? 0,
        hostX2apic: setup.hostX2apic !== 0,
        physicalAddressBits: setup.physicalAddressBits ?? 52,
      },
      { fabric: this.#fabric, ...(observer === undefined ? {} : { observer }) },
    );
    const { page } = this.#virtual;
    page.write(virtualApicPage.vtpr, setup.vtpr ?? 0);
    for (const vector of setup.virr ?? []) page.set(group.irr, vector);
    for (const vector of setup.visr ?? []) page.set(group.isr, vector);
    this.#virtual.setStatus(setup.rvi ?? 0, setup.svi ?? 0);
    this.#virtual.interruptWindowExiting = setup.interruptWindow === 1;
    this.#virtual.enter();
  }

  /** An interrupt reaches the processor's own APIC, and the processor in guest mode. */
  external(vector: number): Happenings {
    this.#physical.deliver(0, 0, 0, 0, vector, 0);
    const exit = this.#virtual.externalInterrupt(this.#apic);
    return exit === noExit ? {} : { exit: { reason: vmxExitReasons.externalInterrupt, vector: hexOf(exit) } };
  }

  deliver(): Happenings {
    const vector = this.#virtual.deliver();
    return vector < 0 ? {} : { vector: hexOf(vector) };
  }

  enter(): void {
    this.#virtual.enter();
  }

  setInterruptWindow(on: 0 | 1): void {
    this.#virtual.interruptWindowExiting = on === 1;
  }

  /** The guest writes a register of its page. */
  write(offset: number, value: number): Happenings {
    const reason = this.#virtual.write(offset, value | 0);
    const exit = this.#exit(reason);
    return { ...exit, ...collect(this.#fabric) };
  }

  #exit(reason: number): Happenings {
    if (reason === noExit) return {};
    const qualified = reason === vmxExitReasons.apicWrite || reason === vmxExitReasons.virtualizedEoi;
    return { exit: { reason, ...(qualified ? { qualification: hexOf(this.#virtual.qualification) } : {}) } };
  }

  /** The guest writes its ICR, the high half first where it is two registers. */
  command(low: number, high: number, wide: boolean): Happenings {
    this.#virtual.page.write(wide ? virtualApicPage.vicrWideHigh : virtualApicPage.vicrHigh, high | 0);
    return this.write(virtualApicPage.vicrLow, low);
  }

  /** The device's side, or another processor, posts in software. */
  softwarePost(vector: number): Happenings {
    return this.#virtual.descriptor.postFromSoftware(vector) === Post.notify ? { notify: true } : {};
  }

  softwareHarvest(): Happenings {
    const highest = this.#virtual.descriptor.harvestFromSoftware(this.#virtual.page);
    return highest < 0 ? {} : { vector: hexOf(highest) };
  }

  look(): JsonObject {
    const { page, rvi, svi, vppr, recognised } = this.#virtual;
    const read = (start: number): string[] =>
      vectorsIn(Array.from({ length: groupWords }, (_, i) => page.read(4 * start + virtualApicStride * i)));
    return {
      rvi: hexOf(rvi),
      svi: hexOf(svi),
      vppr: hexOf(vppr),
      recognised,
      virr: read(group.irr),
      visr: read(group.isr),
    };
  }

  /** The processor's own APIC. */
  lookPhysical(): JsonObject {
    const base = this.#apic.slot << strideShift;
    const read = (at: number): string[] =>
      vectorsIn(this.#physical.state.subarray(base + at, base + at + groupWords));
    return { irr: read(word.irr), isr: read(word.isr) };
  }

  readDescriptor(address: number): bigint {
    const words = new Int32Array(postedDescriptor.width / 32);
    this.#memory.readWords(address, words);
    return fromWords(words, 0, postedDescriptor.width);
  }
}
