import type { Message, PciDevice } from "../../evidence/host/device.ts";
import { type Fact, type Origin, fact } from "../../evidence/host/fact.ts";
import type { EntryReference, InterruptSource, LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { UnitState } from "../../evidence/host/unit.ts";
import { Outcome, unknownRequester } from "../../hardware/delivery.ts";
import { IoApic } from "../../hardware/ioapic.ts";
import { RecordingFabric } from "../../hardware/recording-fabric.ts";
import { ioapicRegister, ioapicRteAmd, ioapicRteRemappable } from "../../spec/apic/ioapic.ts";
import { decode, encode, hex } from "../../spec/codec.ts";
import { msiRemappableAddress } from "../../spec/msi/message.ts";
import { printRequester } from "../../spec/requester.ts";
import { irteRemapped } from "../../spec/vtd/irte.ts";
import type { HostLinks } from "../host/links.ts";
import { canMaskMsi, masters } from "./config-space.ts";
import type { Story } from "./following.ts";
import type { HostRequest } from "./host-decision.ts";
import { vfioKindOf } from "./posting-conditions.ts";
import { requesterOf } from "./requester.ts";

/** What is followed, as far as a host's state has it. */
export interface Followed {
  readonly interrupt: LinuxInterrupt | undefined;
  readonly source: InterruptSource | undefined;
  readonly device: PciDevice | undefined;
  readonly unit: UnitState | undefined;
  readonly reference: Fact<EntryReference> | undefined;
  /** Where an entry alone is followed: the requester that it is for. */
  readonly requester?: Fact<number>;
}

/** Tells what leaves the source of an interrupt. @returns the request; null where none does, or it is not known. */
export function tellSource(story: Story, links: HostLinks, followed: Followed): HostRequest | null {
  const { source, device } = followed;
  if (device !== undefined && source?.kind === "pci") tellFunction(story, links, followed, device);
  if (source?.kind === "ioapic") tellPin(story, followed, source.pin);
  if (story.ended !== null) return null;
  const message = tellMessage(story, links, followed);
  if (story.ended !== null) return null;
  const { id, origin } = tellRequester(story, links, followed);
  if (message === undefined) return null;
  return {
    address: message.value.address,
    data: message.value.data,
    messageOrigin: message.origin,
    requester: id ?? unknownRequester,
    requesterOrigin: origin ?? null,
  };
}

function tellFunction(story: Story, links: HostLinks, followed: Followed, device: PciDevice): void {
  const part = "source";
  const writes = masters(device);
  const rule = "pci.msi.bus-master";
  const title = "the function may write to memory";
  const evidence = [device.config?.origin];
  if (writes === undefined) {
    story.tell({ part, title, rule, verdict: "not known", detail: "configuration space was not read" });
  } else {
    const detail = `Bus Master Enable is ${writes ? 1 : 0}`;
    story.tell({ part, title, rule, verdict: writes ? "held" : "not sent", detail, evidence });
    if (!writes)
      story.end("not sent", rule, "The function may not write to memory, and a message is a write.");
  }
  const { interrupt } = followed;
  const vfio = interrupt === undefined ? undefined : vfioKindOf(interrupt);
  const named = interrupt === undefined ? undefined : links.messageKindOf(interrupt);
  const kind = named ?? (vfio === "intx" ? undefined : vfio);
  tellCapability(story, device, kind ?? kindOf(device), followed);
}

function kindOf({ msi, msix, signals }: PciDevice): "msi" | "msix" {
  if (msix?.value.enabled === true || signals?.value === "msix") return "msix";
  return msi === undefined && msix !== undefined ? "msix" : "msi";
}

function tellCapability(
  story: Story,
  device: PciDevice,
  kind: "msi" | "msix",
  { interrupt }: Followed,
): void {
  if (story.ended !== null) return;
  const part = "source";
  const name = kind === "msix" ? "MSI-X" : "MSI";
  const capability = kind === "msix" ? device.msix : device.msi;
  const title = `${name} is enabled`;
  const rule = "pci.msi.disabled";
  if (capability === undefined) tellSignals(story, device, kind, { part, title, rule });
  else {
    const { enabled, available } = capability.value;
    const used =
      "used" in capability.value
        ? `${capability.value.used} of ${available} vectors`
        : `${available} vectors`;
    const evidence = [capability.origin];
    const detail = enabled ? `Enable is 1, ${used}` : "Enable is 0";
    story.tell({ part, title, rule, verdict: enabled ? "held" : "not sent", detail, evidence });
    if (!enabled) story.end("not sent", rule, `${name} of the function is not enabled.`);
  }
  if (story.ended === null) tellMask(story, device, kind, interrupt);
}

/** Where configuration space was not read: what the kernel says it has switched on. */
function tellSignals(
  story: Story,
  { signals }: PciDevice,
  kind: "msi" | "msix",
  step: { readonly part: "source"; readonly title: string; readonly rule: "pci.msi.disabled" },
): void {
  if (signals === undefined) {
    return story.tell({ ...step, verdict: "not known", detail: "the capability was not read" });
  }
  const on = signals.value === kind;
  const detail = on ? "the kernel has switched it on" : "the kernel has not switched it on";
  story.tell({ ...step, verdict: on ? "held" : "not sent", detail, evidence: [signals.origin] });
  if (!on) story.end("not sent", step.rule, "The kernel has not switched the capability on.");
}

function tellMask(
  story: Story,
  device: PciDevice,
  kind: "msi" | "msix",
  interrupt: LinuxInterrupt | undefined,
): void {
  const step = { part: "source", title: "the vector is not masked", rule: "pci.msi.masked" } as const;
  const stop = (detail: string, evidence: readonly (Origin | undefined)[]): void => {
    story.tell({ ...step, verdict: "not sent", detail, evidence });
    story.end(
      "not sent",
      step.rule,
      `${detail[0]!.toUpperCase()}${detail.slice(1)}: the function keeps it as pending.`,
    );
  };
  if (kind === "msix" && device.msix?.value.masked === true) {
    return stop("the function mask is 1", [device.msix.origin]);
  }
  const masked = interrupt?.masked;
  const maskable = kind === "msix" ? true : canMaskMsi(device);
  if (maskable === false) {
    const detail = "its MSI capability cannot mask vectors";
    return story.tell({ ...step, verdict: "does not apply", detail, evidence: [device.config?.origin] });
  }
  if (masked?.value === true && maskable === true)
    return stop("Linux has masked the vector", [masked.origin]);
  if (masked === undefined || maskable === undefined) {
    const detail =
      kind === "msix" ? "its mask bit lies in device memory" : "whether its MSI can mask is not known";
    return story.tell({ ...step, verdict: "not known", detail });
  }
  const from = [masked.origin, ...(kind === "msix" && device.msix !== undefined ? [device.msix.origin] : [])];
  story.tell({ ...step, verdict: "held", detail: "Linux has not masked it", evidence: from });
}

function tellPin(story: Story, { interrupt }: Followed, pin: number): void {
  const masked = interrupt?.masked;
  const step = { part: "source", title: `pin ${pin} is not masked`, rule: "ioapic.edge.masked" } as const;
  if (masked === undefined) {
    return story.tell({ ...step, verdict: "not known", detail: "the redirection entry was not read" });
  }
  const evidence = [masked.origin];
  if (!masked.value)
    return story.tell({ ...step, verdict: "held", detail: "Linux has not masked it", evidence });
  story.tell({ ...step, verdict: "not sent", detail: "Linux has masked the redirection entry", evidence });
  story.end("not sent", step.rule, "Linux has masked the pin's redirection entry.");
}

function tellMessage(story: Story, links: HostLinks, followed: Followed): Fact<Message> | undefined {
  const { source } = followed;
  const step = { part: "source", title: "the message" } as const;
  const read = messageOf(links, followed) ?? eventMessage(followed);
  if (read !== undefined) {
    const { address, data } = read.value;
    const detail = `addr ${hex(address)}, data ${hex(data)}`;
    const isInterrupt = address >> 20n === 0xfeen || source?.kind === "unit";
    story.tell(
      isInterrupt
        ? { ...step, verdict: "held", detail, evidence: [read.origin] }
        : { ...step, verdict: "lost here", rule: "apic.message.prefix", detail, evidence: [read.origin] },
    );
    if (!isInterrupt) story.end("lost", "apic.message.prefix", "A write to that address is no interrupt.");
    return read;
  }
  const composed = composedMessage(followed);
  if (composed === undefined) {
    story.tell({
      ...step,
      verdict: "not known",
      detail: "neither the message nor the entry that it names was read",
    });
    story.lack({
      what: "the message of the interrupt",
      why: `${links.state.source} does not tell it`,
      needs: "root on the host, debugfs (irq/irqs, since 7.0), or a dump of its kernel",
    });
    return undefined;
  }
  const { address, data } = composed.value;
  const index = followed.reference!.value.index;
  const detail = `not read; for entry ${index} Linux writes addr ${hex(address)}, data ${hex(data)}`;
  story.tell({ ...step, verdict: "not checked", detail, evidence: [composed.origin] });
  return composed;
}

/** As it was read; vectors of one MSI share the kernel's message, and the function adds the vector's number. */
function messageOf(links: HostLinks, { interrupt, source }: Followed): Fact<Message> | undefined {
  if (interrupt === undefined) return undefined;
  const message = links.messageOf(interrupt);
  if (message === undefined || message !== interrupt.message) return message;
  const index = source?.kind === "pci" ? (source.index ?? 0) : 0;
  if (index === 0 || links.messageKindOf(interrupt) !== "msi") return message;
  return fact({ address: message.value.address, data: message.value.data + index }, message.origin);
}

/** The message of a VT-d unit's fault event, out of its registers. */
function eventMessage({ source, unit, interrupt }: Followed): Fact<Message> | undefined {
  if (source?.kind !== "unit" || unit?.vendor !== "intel") return undefined;
  if (interrupt?.actions?.value.includes(unit.name) === false) return undefined;
  const [data, low, high] = ["FEDATA", "FEADDR", "FEUADDR"].map((name) => unit.registers.get(name));
  if (data === undefined || low === undefined) return undefined;
  const address = BigInt.asUintN(32, low.value) | (BigInt.asUintN(32, high?.value ?? 0n) << 32n);
  return fact({ address, data: Number(BigInt.asUintN(32, data.value)) }, low.origin);
}

/** The message that Linux writes for an entry, where it is known which entry an interrupt has. */
function composedMessage({ reference, unit, source }: Followed): Fact<Message> | undefined {
  if (reference === undefined || unit === undefined) return undefined;
  const { index } = reference.value;
  if (index < 0 || index > 0xffff) return undefined;
  const { origin } = reference;
  if (source?.kind === "ioapic") return fact(ioapicMessage(unit, index, source.pin), origin);
  if (unit.vendor === "intel") {
    const address = encode(msiRemappableAddress, { prefix: 0xfee, format: 1, shv: 1, handle: index });
    return fact({ address, data: 0 }, origin);
  }
  return fact({ address: index < 512 ? 0xfee0_0000n : 0xfee0_0004n, data: index & 0x7ff }, origin);
}

/** What an I/O APIC sends whose redirection entry is as Linux writes it (linux.ioapic.pin-as-vector). */
function ioapicMessage(unit: UnitState, index: number, pin: number): Message {
  let sent: Message = { address: 0n, data: 0 };
  const ioapic = new IoApic({
    fabric: new RecordingFabric(),
    requester: 0,
    pins: 1,
    unit: {
      interrupt: (address, data) => {
        sent = { address: BigInt(address >>> 0), data: data >>> 0 };
        return Outcome.remapped;
      },
      malformed: () => Outcome.blocked,
    },
  });
  const entry =
    unit.vendor === "intel"
      ? encode(ioapicRteRemappable, { format: 1, index, v: pin & 0xff })
      : encode(ioapicRteAmd, { index: index & 0x7ff });
  ioapic.writeRegister(ioapicRegister.table + 1, Number(BigInt.asIntN(32, entry >> 32n)));
  ioapic.writeRegister(ioapicRegister.table, Number(BigInt.asIntN(32, entry)));
  ioapic.pulse(0);
  return sent;
}

interface KnownRequester {
  readonly id: number | undefined;
  readonly origin: Origin | undefined;
}

function tellRequester(story: Story, links: HostLinks, followed: Followed): KnownRequester {
  const { source, device, requester } = followed;
  const step = { part: "requester", title: "the requester id" } as const;
  const none = (detail: string): KnownRequester => {
    story.tell({ ...step, verdict: "not known", detail });
    return { id: undefined, origin: undefined };
  };
  const found = (
    verdict: "held" | "not checked",
    id: number,
    why: string,
    evidence: readonly Origin[],
  ): KnownRequester => {
    story.tell({ ...step, verdict, detail: `${printRequester(id)}: ${why}`, evidence });
    return { id, origin: evidence[0] };
  };
  if (source?.kind === "unit") return { id: undefined, origin: undefined };
  if (requester !== undefined) {
    return found("not checked", requester.value, "whose interrupts the entry is for", [requester.origin]);
  }
  if (device !== undefined && source?.kind === "pci") {
    const { id, why, evidence } = requesterOf(links, device);
    const from = evidence.length > 0 || device.config === undefined ? evidence : [device.config.origin];
    if (id !== undefined) return found("held", id, why, from);
    return linuxRequester(followed, found) ?? none(why);
  }
  if (source?.kind === "ioapic" || source?.kind === "hpet") {
    const platform = links.platformSourceOf(source);
    const what =
      source.kind === "ioapic" ? `IOAPIC ${source.id ?? "of an unknown id"}` : `HPET ${source.id ?? ""}`;
    if (platform !== undefined)
      return found("held", platform.requester, `firmware's for ${what}`, [platform.origin]);
    return linuxRequester(followed, found) ?? none(`neither DMAR nor IVRS names ${what}`);
  }
  return linuxRequester(followed, found) ?? none("what sends the interrupt is not known");
}

/**
 * Whose requests Linux takes an interrupt's for: AMD-Vi, whose table it uses; VT-d, whom its own copy of the entry lets
 * through, if that is one requester or one bus.
 */
function linuxRequester(
  { interrupt, reference }: Followed,
  found: (verdict: "not checked", id: number, why: string, evidence: readonly Origin[]) => KnownRequester,
): KnownRequester | undefined {
  const why = "Linux takes its requests for this one's";
  const table = reference?.value.requester;
  if (table !== undefined && table !== null) return found("not checked", table, why, [reference!.origin]);
  const cached = interrupt?.cachedEntry;
  if (cached === undefined) return undefined;
  const { sid, sq, svt } = decode(irteRemapped, cached.value);
  const id = Number(sid);
  if (svt === 1 && (sq === 0 || sq === 3)) return found("not checked", id, why, [cached.origin]);
  return svt === 2 && id >>> 8 === (id & 0xff)
    ? found("not checked", id & 0xff00, why, [cached.origin])
    : undefined;
}
