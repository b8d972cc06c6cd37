import { AvicEntryWord, AvicLogWord, type AvicState, AvicVcpuWord } from "../../linux/posting/avic-state.ts";
import { done } from "../../linux/posting/step.ts";
import { EntryWord, FrameWord, VcpuWord } from "../../linux/posting/words.ts";
import * as physical from "../../spec/accessors/avic-physical-entry.ts";
import { fromWords } from "../../spec/codec.ts";
import { SpareWord, spareStride } from "./avic-pack.ts";
import type { AvicCast } from "./avic-plays.ts";
import { type Seen, nameBits, threadOf } from "./seen.ts";

/** What one sees of a state: vCPUs with their entries of the physical APIC id table, IRTEs, and the guest log. */
export function lookAtAvic(
  state: AvicState,
  { others }: AvicCast,
  isAsleep: (vcpu: number) => boolean,
): Seen[] {
  const seen: Seen[] = [];
  for (let vcpu = 0; vcpu < state.shape.vcpus; vcpu++) {
    seen.push(vcpuSeen(state, others, vcpu, isAsleep(vcpu)), placeSeen(state, vcpu));
  }
  for (let entry = 0; entry < state.shape.entries; entry++) seen.push(entrySeen(state, entry));
  seen.push(logSeen(state));
  return seen;
}

function vcpuSeen(state: AvicState, others: AvicCast["others"], vcpu: number, asleep: boolean): Seen {
  const { words } = state;
  const at = state.vcpuAt(vcpu);
  const frame = state.threadAt(vcpu);
  const loaded = words[at + VcpuWord.loaded] === 1 || words[frame + FrameWord.step] !== done;
  return {
    what: `vcpu ${vcpu}`,
    values: {
      thread: threadOf(words[at + VcpuWord.inGuest] === 1, loaded, asleep),
      cpu: loaded ? String(words[frame + FrameWord.cpu]) : "none",
      IRR: nameBits(
        words[state.spareAt + vcpu * spareStride + SpareWord.irr]!,
        (sender) => `from ${others[sender]!.actor}`,
      ),
    },
  };
}

function placeSeen(state: AvicState, vcpu: number): Seen {
  const { tables } = state;
  const at = state.physicalAt(vcpu);
  return {
    what: `physical APIC id entry of vcpu ${vcpu}`,
    values: {
      IsRunning: String(physical.isrunning(tables, at)),
      host: `cpu ${physical.host(tables, at)}`,
      ir_list_lock: state.words[state.avicAt(vcpu) + AvicVcpuWord.lock] === 0 ? "free" : "held",
    },
    bits: { layout: "avic-physical-entry", value: fromWords(tables, at, 32 * physical.WORDS) },
  };
}

function entrySeen(state: AvicState, entry: number): Seen {
  const { words } = state;
  const at = state.entryAt(entry);
  const vcpu = state.ofEntry(entry, AvicEntryWord.vcpu);
  const held = state.ofEntry(entry, AvicEntryWord.held);
  return {
    what: `IRTE ${entry}`,
    values: {
      "leads to": whom(vcpu),
      IsRun: String(state.ofEntry(entry, AvicEntryWord.isRun)),
      Destination: `cpu ${state.ofEntry(entry, AvicEntryWord.destination)}`,
      GALogIntr: String(state.ofEntry(entry, AvicEntryWord.gaLogIntr)),
      RemapEn: state.ofEntry(entry, AvicEntryWord.disabled) === 0 ? "1" : "0",
      "held by the unit": held === 0 ? "none" : whom(held - 2),
      "asked for by KVM": whom(words[at + EntryWord.asked]! - 1),
      "interrupt's lock": state.ofEntry(entry, AvicEntryWord.lock) === 0 ? "free" : "held",
    },
  };
}

function logSeen(state: AvicState): Seen {
  const { words } = state;
  const logged = Array.from({ length: state.shape.vcpus }, (_, vcpu) => vcpu).filter(
    (vcpu) => words[state.avicAt(vcpu) + AvicVcpuWord.log] !== 0,
  );
  return {
    what: "guest log",
    values: {
      "not read": logged.length === 0 ? "none" : logged.map((vcpu) => `vcpu ${vcpu}`).join(", "),
      GALogInt: String(words[state.logAt + AvicLogWord.status]),
      interrupt: words[state.logAt + AvicLogWord.raised] === 0 ? "none" : "on its way",
    },
  };
}

function whom(vcpu: number): string {
  return vcpu < 0 ? "the host" : `vcpu ${vcpu}`;
}
