import { IrteWord } from "../../linux/posting/irte-state.ts";
import { postedInterruptVector, wakeupVector } from "../../linux/posting/posting-state.ts";
import { done } from "../../linux/posting/step.ts";
import { VcpuWord, VmWord } from "../../linux/posting/words.ts";
import * as irte from "../../spec/accessors/irte-posted.ts";
import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { fromWords } from "../../spec/codec.ts";
import { type Seen, nameBits, threadOf } from "./seen.ts";
import { type VmxCast, pending } from "./vmx-cast.ts";
import { Own, firstVector } from "./vmx-pack.ts";

const waiting: readonly (readonly [bit: number, name: string])[] = [
  [pending.notification, "F2h"],
  [pending.wakeup, "F1h"],
  [pending.other, "reschedule"],
];

/** What one sees of a state: vCPUs and their descriptors, CPUs, and the entry that changes. */
export function lookAtVmx(cast: VmxCast): Seen[] {
  const seen: Seen[] = [];
  for (let vcpu = 0; vcpu < cast.vcpus; vcpu++) seen.push(vcpuSeen(cast, vcpu), descriptorSeen(cast, vcpu));
  for (let cpu = 0; cpu < cast.cpus; cpu++) seen.push(cpuSeen(cast, cpu));
  if (cast.changes) seen.push(entrySeen(cast));
  return seen;
}

function vcpuSeen(cast: VmxCast, vcpu: number): Seen {
  const loaded = cast.vcpu(vcpu, VcpuWord.loaded) === 1;
  return {
    what: `vcpu ${vcpu}`,
    values: {
      thread: threadOf(cast.vcpu(vcpu, VcpuWord.inGuest) === 1, loaded, cast.isAsleep(vcpu)),
      cpu: loaded ? String(cast.cpuOf(vcpu)) : "none",
      IRR: vectors(cast.words[cast.ownAt(vcpu) + Own.irr]!),
    },
  };
}

function descriptorSeen(cast: VmxCast, vcpu: number): Seen {
  const { words } = cast;
  const at = cast.state.descriptorAt(vcpu);
  const nv = pid.nv(words, at);
  return {
    what: `descriptor of vcpu ${vcpu}`,
    values: {
      PIR: vectors(words[at + pid.PIR_WORD]!),
      ON: String(pid.on(words, at)),
      SN: String(pid.sn(words, at)),
      NV: nv === wakeupVector ? "F1h" : nv === postedInterruptVector ? "F2h" : `${nv.toString(16)}h`,
      NDST: `cpu ${pid.ndst(words, at)}`,
    },
    bits: { layout: "posted-descriptor", value: fromWords(words, at, 32 * pid.WORDS) },
  };
}

/** Guest vectors, as they are in PIR or IRR. */
function vectors(word: number): string {
  return nameBits(word >>> firstVector, (bit) => `${(firstVector + bit).toString(16).padStart(2, "0")}h`);
}

function cpuSeen(cast: VmxCast, cpu: number): Seen {
  const waits = cast.words[cast.apics + cpu]!;
  const names = waiting.filter(([bit]) => (waits & bit) !== 0).map(([, name]) => name);
  const handles = cast.words[cast.handlerAt(cpu)] !== done;
  return {
    what: `cpu ${cpu}`,
    values: {
      APIC: names.length === 0 ? "none" : names.join(", "),
      handler: handles ? "runs" : "none",
      "wakeup list": nameBits(cast.words[cast.state.listAt(cpu)]!, (vcpu) => `vcpu ${vcpu}`),
    },
  };
}

function entrySeen(cast: VmxCast): Seen {
  const { words } = cast;
  const { irtes } = cast.state;
  const table = irtes.tableAt(0);
  const held = irtes.heldAt(0);
  const driver = cast.state.irteAt(0);
  const posted = irte.im(words, table) === 1;
  return {
    what: "entry 0",
    values: {
      "in the table": modeOf(irte.im(words, table)),
      "held by the unit": irte.p(words, held) === 0 ? "none" : modeOf(irte.im(words, held)),
      "asked for by KVM": modeOf(words[driver + IrteWord.asked]!),
      lock: words[driver + IrteWord.lock] === 0 ? "free" : "held",
      nr_possible_bypass_irqs: String(words[cast.state.vmAt(0) + VmWord.bypass]!),
    },
    bits: {
      layout: posted ? "irte-posted" : "irte-remapped",
      value: fromWords(words, table, 32 * irte.WORDS),
    },
  };
}

function modeOf(im: number): string {
  return im === 1 ? "posted" : "remapped";
}
