import type { Kernel } from "../kernel.ts";
import { chipFlags } from "./chip.ts";
import type { IrqCommon, IrqData, IrqDescriptor } from "./descriptor.ts";
import { type IrqDomain, busToken } from "./domain.ts";
import { handleEdgeIrq, handleFasteoiIrq } from "./flow.ts";
import { isMsiDomain, msiTargetOf } from "./msi.ts";
import { chipDataOf } from "./vector-state.ts";

/** Releases that still have IRQD_MOVE_PCNTXT, in the middle of the flags. */
const withMoveFlag = { below: "6.15" };

/** A domain's name as debugfs has it: with its bus token; the tokens of remapping units are new in 6.2. */
export function domainName(k: Kernel, { name, token }: IrqDomain): string {
  const unit = token === busToken.dmar || token === busToken.amdvi;
  return token === busToken.any || (unit && k.runs({ below: "6.2" })) ? name : `${name}-${token}`;
}

/** CPU numbers in the form of lists: `0-3,8`. */
export function cpuList(cpus: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const cpu of cpus.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === cpu - 1) last[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

/** What `/sys/kernel/debug/irq/irqs/<irq>` reads as; undefined when there is no such interrupt. */
export function irqDebugShow(k: Kernel, irq: number): string | undefined {
  const descriptor = k.irqs.descriptors.get(irq);
  if (descriptor === undefined) return undefined;
  const { common, data } = descriptor;
  const device = msiTargetOf(k, irq)?.device.name ?? "(null)";
  const moves = k.runs(withMoveFlag) && movesAtOnce(data);
  const lines = [
    `handler:  ${flowName(descriptor)}`,
    `device:   ${device}`,
    `status:   ${hex(moves ? settings.moveInProcessContext : 0)}`,
    `istate:   ${hex(descriptor.pending ? pendingState : 0)}`,
    "ddepth:   0",
    "wdepth:   0",
    ...stateLines(k, common, moves),
    "node:     0",
    `affinity: ${cpuList(common.affinity)}`,
    `effectiv: ${cpuList(common.effective)}`,
    `pending:  ${cpuList(common.pendingMove ?? [])}`,
    ...levelLines(k, data, 0),
  ];
  return `${lines.join("\n")}\n`;
}

/** `IRQ_MOVE_PCNTXT`, which remapping sets. */
const settings = { moveInProcessContext: 0x4000 } as const;

/** `IRQS_PENDING` */
const pendingState = 0x200;

/** Only remapping lets an interrupt move while it is not being handled. */
function movesAtOnce(data: IrqData | null): boolean {
  return data !== null && (data.domain.isolatedMsi || movesAtOnce(data.parent));
}

function flowName({ flow }: IrqDescriptor): string {
  if (flow === handleEdgeIrq) return "handle_edge_irq";
  return flow === handleFasteoiIrq ? "handle_fasteoi_irq" : "handle_bad_irq";
}

/** `dstate`: the bits of `irq_data`, and their names in the order of the printer. */
function stateLines(k: Kernel, common: IrqCommon, moves: boolean): string[] {
  // Where IRQD_MOVE_PCNTXT is gone, the highest flags moved down with it.
  const top = k.runs(withMoveFlag) ? 28 : 27;
  const enforces = k.runs({ from: "5.8" });
  const states: [boolean, number, string][] = [
    [common.activated, 9, "ACTIVATED"],
    [common.started, 22, "IRQ_STARTED"],
    [!common.started, 16, "IRQ_DISABLED"],
    [common.masked, 17, "IRQ_MASKED"],
    [common.inProgress, 18, "IRQ_INPROGRESS"],
    [true, 24, "SINGLE_TARGET"],
    [moves, 15, "MOVE_PCNTXT"],
    [common.affinitySet, 12, "AFFINITY_SET"],
    [common.managed, 21, "AFFINITY_MANAGED"],
    [k.runs({ from: "5.9" }), top + 1, "AFFINITY_ON_ACTIVATE"],
    [common.canReserve, 26, "CAN_RESERVE"],
    [enforces, top, "HANDLE_ENFORCE_IRQCTX"],
  ];
  const set = states.filter(([holds]) => holds);
  const value = set.reduce((sum, [, bit]) => sum + 2 ** bit, 0);
  return [`dstate:   ${hex(value)}`, ...set.map(([, , name]) => `${pad(12)}IRQD_${name}`)];
}

/** Flags that the printer has names for. */
const namedFlags = ["IRQCHIP_SKIP_SET_WAKE", "IRQCHIP_ONESHOT_SAFE", "IRQCHIP_MOVE_DEFERRED"] as const;

function levelLines(k: Kernel, data: IrqData, indent: number): string[] {
  const at = pad(indent);
  const { chip } = data;
  const flags = chip?.flags ?? 0;
  const lines = [
    `${at}domain:  ${domainName(k, data.domain)}`,
    `${at} hwirq:   0x${data.hwirq.toString(16)}`,
    `${at} chip:    ${chip?.name ?? "None"}`,
  ];
  if (chip !== null) {
    lines.push(`${at}  flags:   0x${flags.toString(16)}`);
    const named = namedFlags.filter((name) => (flags & chipFlags[name]) !== 0);
    lines.push(...named.map((name) => `${at}${pad(13)}${name}`));
  }
  lines.push(...detailLines(k, data).map((line) => (line === "" ? "" : `${at} ${line}`)));
  if (data.parent !== null) lines.push(`${at} parent:`, ...levelLines(k, data.parent, indent + 4));
  return lines;
}

/** What a level has to say of itself: VECTOR, and since 7.0 the messages. */
function detailLines(k: Kernel, data: IrqData): string[] {
  if (data.parent === null) return vectorLines(data);
  const target = isMsiDomain(data.domain) && k.runs({ from: "7.0" }) ? msiTargetOf(k, data.irq) : undefined;
  if (target === undefined) return [];
  const { addressHigh, addressLow, data: message } = target.descriptor.message;
  return [
    "",
    ` address_hi: ${hex(addressHigh)}`,
    ` address_lo: ${hex(addressLow)}`,
    ` msg_data:   ${hex(message)}`,
  ];
}

/** The vector that is held, 0 while the placeholder stands for it. */
function vectorLines(data: IrqData): string[] {
  if (data.chipData === null) return ["Vector: Not assigned"];
  const chip = chipDataOf(data);
  const lines = [`Vector: ${column(chip.vector)}`, `Target: ${column(chip.cpu)}`];
  if (chip.previousVector !== 0) {
    lines.push(`Previous vector: ${column(chip.previousVector)}`);
    lines.push(`Previous target: ${column(chip.previousCpu)}`);
  }
  return [
    ...lines,
    `move_in_progress: ${Number(chip.moveInProgress)}`,
    `is_managed:       ${Number(data.common.managed)}`,
    `can_reserve:      ${Number(chip.canReserve)}`,
    `has_reserved:     ${Number(chip.hasReserved)}`,
    `cleanup_pending:  ${Number(chip.queued)}`,
  ];
}

function column(value: number): string {
  return `${value}`.padStart(5);
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, "0")}`;
}

function pad(width: number): string {
  return " ".repeat(width);
}
