import * as irte from "../../spec/accessors/irte-posted.ts";
import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { IrteWord } from "../../linux/posting/irte-state.ts";
import { postedInterruptVector, wakeupVector } from "../../linux/posting/posting-state.ts";
import { done } from "../../linux/posting/step.ts";
import { VcpuWord, VmWord } from "../../linux/posting/words.ts";
import type { VmxCast } from "./vmx-cast.ts";
import { Own } from "./vmx-pack.ts";

/** What must not be. */
export const vmxProperties = [
  "on two wakeup lists",
  "entry in the wrong mode",
  "unit with an old entry",
  "notification to a CPU that cannot act on it",
  "lost interrupt",
  "endless wakeup",
] as const;

/** Bits of the properties. */
const Wrong = { lists: 0, mode: 1, old: 2, vain: 3, lost: 4 } as const;

/** The properties that a state breaks: a bit for each of {@link vmxProperties}. */
export function wrongIn(cast: VmxCast): number {
  let wrong = cast.changes ? wrongEntry(cast) : 0;
  for (let vcpu = 0; vcpu < cast.vcpus; vcpu++) {
    if (cast.vcpu(vcpu, VcpuWord.listed) > 1) wrong |= 1 << Wrong.lists;
  }
  for (let i = 0; i < cast.others; i++) if (cast.words[cast.otherAt(i)] !== done) return wrong;
  const quiet = isQuiet(cast);
  for (let vcpu = 0; vcpu < cast.vcpus; vcpu++) {
    if (cast.words[cast.threadAt(vcpu)] !== done) continue;
    if (notifiesInVain(cast, vcpu)) wrong |= 1 << Wrong.vain;
    if (quiet && loses(cast, vcpu)) wrong |= 1 << Wrong.lost;
  }
  return wrong;
}

/** The entry that changes, while nobody is changing it. */
function wrongEntry(cast: VmxCast): number {
  const { irtes } = cast.state;
  const driver = cast.state.irteAt(0);
  if (cast.words[driver + IrteWord.lock] !== 0) return 0;
  const mode = irte.im(cast.words, irtes.tableAt(0));
  const wrong = mode === cast.words[driver + IrteWord.asked] ? 0 : 1 << Wrong.mode;
  return isOld(cast, 0) || (mode === 0 && !irtes.drained(0)) ? wrong | (1 << Wrong.old) : wrong;
}

/** The unit holds an entry that is not the table's. */
function isOld(cast: VmxCast, entry: number): boolean {
  const { irtes } = cast.state;
  const held = irtes.heldAt(entry);
  if (irte.p(cast.words, held) === 0) return false;
  for (let i = 0; i < irte.WORDS; i++) if (cast.words[held + i] !== irtes.read(entry, i)) return true;
  return false;
}

/** Nothing is on its way. */
function isQuiet(cast: VmxCast): boolean {
  for (let cpu = 0; cpu < cast.cpus; cpu++) {
    if (cast.words[cast.apics + cpu] !== 0 || cast.words[cast.handlerAt(cpu)] !== done) return false;
  }
  return true;
}

/** The vCPU's thread is where it stays for a while: somebody has to be there for what is posted. */
function notifiesInVain(cast: VmxCast, vcpu: number): boolean {
  const state = cast.state;
  if (cast.words[state.vmAt(0) + VmWord.bypass] === 0) return false;
  const at = state.descriptorAt(vcpu);
  const nv = pid.nv(cast.words, at);
  const ndst = pid.ndst(cast.words, at);
  const suppressed = pid.sn(cast.words, at) === 1;
  if (cast.vcpu(vcpu, VcpuWord.inGuest) === 1) {
    return suppressed || nv !== postedInterruptVector || ndst !== cast.vcpu(vcpu, VcpuWord.cpu);
  }
  return cast.isAsleep(vcpu) && (suppressed || nv !== wakeupVector || !state.isOnList(ndst, vcpu));
}

/** Something is left, and the vCPU will not look. */
function loses(cast: VmxCast, vcpu: number): boolean {
  const irr = cast.words[cast.ownAt(vcpu) + Own.irr]!;
  const posted = cast.words[cast.state.descriptorAt(vcpu) + pid.PIR_WORD]!;
  const unaware = cast.vcpu(vcpu, VcpuWord.inGuest) === 1 && irr === 0;
  return (posted | irr) !== 0 && (unaware || cast.isAsleep(vcpu));
}
