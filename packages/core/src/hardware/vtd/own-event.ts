import type { InterruptFabric } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import * as control from "../../spec/accessors/vtd-event-control.ts";

/**
 * One of the unit's own interrupts, the fault event or the completion event: a control, data, address and upper
 * address register in a row. Its message goes to the fabric as it stands (vtd.fault.event-not-remapped).
 */
export class OwnEvent {
  readonly #state: Int32Array;
  readonly #control: number;
  readonly #fabric: InterruptFabric;
  readonly #observer: Observer | null;
  readonly #narrow: boolean;

  /**
   * @param offset MMIO offset of the control register.
   * @param narrow the upper half of the address is not looked at.
   */
  constructor(
    state: Int32Array,
    offset: number,
    fabric: InterruptFabric,
    observer: Observer | null,
    narrow = false,
  ) {
    this.#narrow = narrow;
    this.#state = state;
    this.#control = offset >> 2;
    this.#fabric = fabric;
    this.#observer = observer;
    this.reset();
  }

  /** Power comes: the event is masked. */
  reset(): void {
    this.#state[this.#control] = control.IM_MASK;
  }

  // vtd.fault.event: masked, the event waits in IP.
  raise(): void {
    if (control.im(this.#state[this.#control]!)) this.#state[this.#control]! |= control.IP_MASK;
    else this.#send();
  }

  /** A write to the control register: only IM is writable, and clearing it lets a waiting event out. */
  writeControl(value: number): void {
    const pending = this.#state[this.#control]! & control.IP_MASK;
    this.#state[this.#control] = (value & control.IM_MASK) | pending;
    if (pending && !control.im(value)) {
      this.withdraw();
      this.#send();
    }
  }

  /** Software has served every cause: a waiting event is forgotten. */
  withdraw(): void {
    this.#state[this.#control]! &= ~control.IP_MASK;
  }

  #send(): void {
    const data = this.#state[this.#control + 1]!;
    const low = this.#state[this.#control + 2]!;
    // qemu.vtd.event-upper-ignored
    const high = this.#narrow ? 0 : this.#state[this.#control + 3]!;
    this.#observer?.record(eventKinds.event, low, high, data, 0, 0, 0);
    this.#fabric.message(low, high, data);
  }
}
