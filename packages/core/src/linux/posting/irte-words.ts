import * as posted from "../../spec/accessors/irte-posted.ts";
import * as remapped from "../../spec/accessors/irte-remapped.ts";
import { type IrteState, IrteWord } from "./irte-state.ts";
import { FrameWord } from "./words.ts";

// What steps do to the entry that a frame is about, and to the one that it is about to write.

/** Where the driver's words of the entry begin. */
export function driverWords(state: IrteState, frame: number): number {
  return state.irteAt(state.get(frame + FrameWord.entry));
}

/** Takes the interrupt's lock. @returns whether it was free. */
export function lockIrte(state: IrteState, frame: number): boolean {
  const lock = driverWords(state, frame) + IrteWord.lock;
  if (state.get(lock) !== 0) return false;
  state.set(lock, 1);
  return true;
}

/** Of words 0 and 2: what both formats have in common, `dmar_copy_shared_irte`. */
const shared = [
  posted.P_MASK | posted.FPD_MASK | posted.AVAIL_MASK,
  posted.SID_MASK | posted.SQ_MASK | posted.SVT_MASK,
] as const;

/** The entry to write posts to the descriptor that the frame names; for the rest it is the host's. */
export function preparePosted(state: IrteState, frame: number, vector: number): void {
  const host = driverWords(state, frame) + IrteWord.host;
  const next = frame + FrameWord.irte;
  state.set(next, (state.get(host) & shared[0]) | posted.IM_MASK | (vector << posted.VV_SHIFT));
  state.set(next + 1, state.take(frame + FrameWord.addressLow));
  state.set(next + 2, state.get(host + 2) & shared[1]);
  state.set(next + 3, state.take(frame + FrameWord.addressHigh));
}

/** The entry to write is the host's. */
export function prepareHost(state: IrteState, frame: number): void {
  const host = driverWords(state, frame) + IrteWord.host;
  for (let i = 0; i < remapped.WORDS; i++) state.set(frame + FrameWord.irte + i, state.get(host + i));
}

/** The host's vector, as the driver's copy has it. */
export function hostVector(state: IrteState, frame: number): number {
  return remapped.vOf(state.get(driverWords(state, frame) + IrteWord.host));
}

/** The host's copy gets a vector, and a destination in the form that entries have. */
export function retarget(state: IrteState, frame: number, vector: number, destination: number): void {
  const host = driverWords(state, frame) + IrteWord.host;
  state.set(host, (state.get(host) & ~remapped.V_MASK) | (vector << remapped.V_SHIFT));
  state.set(host + remapped.DST_WORD, destination);
}

/** Whether the entry in the table, or the one to write, is posted. */
export function touchesPosted(state: IrteState, frame: number): boolean {
  const { irtes } = state;
  const before = irtes.read(state.get(frame + FrameWord.entry), posted.IM_WORD);
  return ((before | state.get(frame + FrameWord.irte + posted.IM_WORD)) & posted.IM_MASK) !== 0;
}

/** Writes words of the entry to the table, and forgets them. */
export function storeWords(state: IrteState, frame: number, from: number, to: number): void {
  const entry = state.get(frame + FrameWord.entry);
  for (let i = from; i < to; i++) state.irtes.write(entry, i, state.take(frame + FrameWord.irte + i));
}
