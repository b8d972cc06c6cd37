import type { FunctionSymbol, Thread } from "../../hardware/call-stack.ts";
import { type EventKind, eventKinds } from "../../hardware/event.ts";
import type { Machine } from "../../machine/machine.ts";
import type { Onlooker } from "../../machine/onlooker.ts";
import { Bystanders } from "./bystanders.ts";
import { HardwareTeller } from "./hardware-teller.ts";
import { milestones } from "./milestones.ts";
import type { Stop, Touched } from "./step.ts";
import { Messages } from "./messages.ts";
import { Shared } from "./shared.ts";
import type { StepList } from "./step-list.ts";
import { Structures } from "./structures.ts";
import { type Told, stepOf, vectorOf } from "./told.ts";

/** What a processor's entry into the kernel for an interrupt is called. */
const handlerName = /interrupt|sysvec|IRQ/;
/** Called for each vector that was found posted to a CPU. */
const flowHandler = "handle_edge_irq";
/** Functions that make a unit forget entries, before which the entries have been written. */
const flushes = new Set(["qi_flush_iec", "qi_global_iec", "iommu_flush_irt", "iommu_flush_irt_and_complete"]);
/** Functions that write into a device's MSI capability or MSI-X table, or that follow such a write. */
const messageWriters = new Set([
  "__pci_enable_msi_range",
  "__pci_write_msi_msg",
  "pci_msi_setup_msi_irqs",
  "pci_msi_shutdown",
  "pci_msix_shutdown",
  "pci_restore_msi_state",
  "pci_msi_mask_irq",
  "pci_msi_unmask_irq",
  "pci_irq_mask_msi",
  "pci_irq_unmask_msi",
  "pci_irq_mask_msix",
  "pci_irq_unmask_msix",
]);
/** Functions before which a vCPU that is new has its descriptor. */
const loads = new Set(["vcpu_load", "kvm_sched_in"]);

const none: readonly string[] = [];

/** Takes what a machine does while it does it, and tells it in steps. */
export class Walker implements Onlooker {
  readonly list: StepList;
  machine!: Machine;
  structures!: Structures;
  bystanders!: Bystanders;
  /** The request that is on its way in hardware; 0 for none. */
  inFlight = 0;
  /** The request whose handlers run; 0 for none. */
  serving = 0;
  #hardware!: HardwareTeller;
  #messages!: Messages;
  /** Requests that software has found posted to a CPU, in the order in which it handles them. */
  #harvested: number[] = [];
  readonly #stacks = new Shared<readonly string[]>((frames) => frames.join("\n"));
  readonly #touched = new Shared<Touched>(keyOf);
  #over = false;
  #depth = 0;
  #servedFrom = 0;
  /** A processor has taken a vector: the next call is its handler's. */
  #taken: { readonly actor: string; readonly vector: number } | null = null;

  constructor(list: StepList) {
    this.list = list;
  }

  meets(machine: Machine): void {
    this.machine = machine;
    this.structures = new Structures(machine.hardware.memory);
    this.bystanders = new Bystanders(machine, this.structures);
    this.#hardware = new HardwareTeller(this);
    this.#messages = new Messages([...machine.devices.values()]);
  }

  begins(episode: number): void {
    this.list.begin(episode);
    this.structures.settle();
    this.#messages.settle();
  }

  ends(): void {
    this.look(0);
    this.#over = true;
  }

  record(kind: EventKind, a: number, b: number, c: number, d: number, e: number, f: number): void {
    if (this.#over) return;
    if (kind !== eventKinds.vmExit) this.#taken = null;
    this.#hardware.record(kind, a, b, c, d, e, f);
  }

  entered(symbol: FunctionSymbol, thread: Thread): void {
    this.inFlight = 0;
    const { name } = symbol;
    const calls = thread[symbol.space];
    if (this.list.has(1)) {
      calls.pop();
      if (flushes.has(name)) this.#hardware.discover();
      this.look();
      if (messageWriters.has(name)) this.tellMessages();
      calls.push(symbol);
    }
    if (loads.has(name)) this.bystanders.meetVcpus();
    this.#depth++;
    if (name === flowHandler && this.#harvested.length > 0) this.serving = this.#harvested.shift()!;
    const what = milestones.get(name);
    if (this.#taken !== null && handlerName.test(name)) {
      const { actor, vector } = this.#taken;
      this.#taken = null;
      this.software("software", actor, `${actor} enters ${name}`, { detail: vectorOf(vector) });
    } else if (what !== undefined) this.software("software", thread.name, what);
  }

  left({ name }: FunctionSymbol): void {
    if (this.list.has(1)) {
      this.look();
      if (messageWriters.has(name)) this.tellMessages();
    }
    this.#depth--;
    if (this.#depth > this.#servedFrom) return;
    this.serving = 0;
    this.#taken = null;
    this.#harvested = [];
  }

  /** A function of the kernel or of a VMM runs. */
  get inSoftware(): boolean {
    return this.#depth > 0;
  }

  /** A processor takes a vector, which a request led to. */
  takes(actor: string, vector: number, request: number): void {
    this.#taken = { actor, vector };
    this.serving = request;
    this.#servedFrom = this.#depth;
  }

  /** Tells what has changed in memory meanwhile, as done by the thread that runs. */
  look(request = this.serving): void {
    if (!this.list.has(1)) return;
    for (const { structure, touched } of this.structures.changes()) {
      const { stop, actor, rule } = structure;
      const harvested = this.bystanders.posted(structure, touched, this.serving);
      if (harvested.length > 0) this.#harvested.push(...harvested);
      this.#change({ stop, actor, rule: rule(touched) }, touched, request);
    }
  }

  /** A step of the software that runs. */
  software(stop: Stop, actor: string, title: string, more: Partial<Told> = {}): void {
    this.tell({ stop, actor, title, ...more }, this.serving, true);
  }

  /** @param inThread the thread that runs does it, and not hardware of its own. */
  tell(told: Told, request: number, inThread = false): void {
    const { list } = this;
    if (!list.has(1)) {
      list.leftOut++;
      return;
    }
    const { touched = [] } = told;
    list.add(
      stepOf(
        { ...told, touched: touched.map((one) => this.#touched.one(one)) },
        {
          at: this.machine.clock.now,
          episode: list.episode,
          thread: inThread ? this.machine.calls.current.name : null,
          stack: inThread ? this.#stack() : none,
          request: request === 0 ? null : request,
        },
      ),
    );
  }

  /** Tells of messages in devices that are not as they were. */
  tellMessages(): void {
    for (const { device, touched } of this.#messages.changes()) {
      this.#change({ stop: "device", actor: device.name }, touched, this.serving);
    }
  }

  /** Something has changed; where no software runs, it was no software that changed it. */
  #change(at: Pick<Told, "stop" | "actor" | "rule">, touched: Touched, request: number): void {
    const by = this.caller();
    const title = by === undefined ? `${touched.what} changes` : `${by} writes ${touched.what}`;
    const told = { ...at, title, detail: changesOf(touched), touched: [touched] };
    this.tell(told, request, by !== undefined);
  }

  /** The innermost function of the thread that runs. */
  caller(): string | undefined {
    return this.#stack()[0];
  }

  #stack(): readonly string[] {
    const { calls } = this.machine;
    return this.#stacks.one([...calls.frames("kernel"), ...calls.frames("user")]);
  }
}

function keyOf({ what, layout, before, value, fields }: Touched): string {
  return [what, layout, before, value, fields].join("\n");
}

function changesOf({ fields }: Touched): string {
  return fields.length === 0 ? "" : `changed: ${fields.map((name) => name.toUpperCase()).join(", ")}`;
}
