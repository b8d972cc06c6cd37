import type { Kernel } from "../kernel.ts";
import type { IrqDescriptor } from "./descriptor.ts";
import { handleEdgeIrq, handleFasteoiIrq } from "./flow.ts";
import { firstDynamicIrq } from "./hierarchy.ts";
import { vectors, withPostedMsi } from "./vectors.ts";

/** What `/proc/interrupts` reads as: devices' interrupts, then the system's own as far as the model has them. */
export function procInterrupts(k: Kernel): string {
  const width = numberWidth(k.cpus.length);
  const cpus = k.cpus.filter(({ online }) => online);
  const header = " ".repeat(width + 8) + cpus.map(({ number }) => `CPU${`${number}`.padEnd(8)}`).join("");
  const rows = [...k.irqs.descriptors.values()]
    .filter(({ action, counts }) => action !== null || counts.length > 0)
    .sort((a, b) => a.irq - b.irq)
    .map((descriptor) => deviceRow(k, descriptor, width));
  return `${[header, ...rows, ...systemRows(k, width)].join("\n")}\n`;
}

/** As wide as the largest number of an interrupt, at least 3. */
function numberWidth(cpus: number): number {
  const legacy = 16;
  const irqs = firstDynamicIrq + legacy + 8 * cpus + 16 * firstDynamicIrq;
  return Math.max(3, `${irqs}`.length);
}

function deviceRow(k: Kernel, descriptor: IrqDescriptor, width: number): string {
  const { irq, data, action, counts } = descriptor;
  const chip = (data.chip?.name ?? "None").padStart(8);
  const hwirq = `${data.hwirq}`.padStart(width);
  // A space in front of the chip's name is gone in newer releases.
  const gap = k.runs({ below: "6.2" }) ? " " : "";
  const numbers = columns(k, (cpu) => counts[cpu] ?? 0);
  const name = action === null ? "" : `  ${action.name}`;
  return `${`${irq}`.padStart(width)}: ${numbers}${gap}${chip} ${hwirq}${flowColumn(descriptor)}${name}`;
}

function flowColumn({ flow }: IrqDescriptor): string {
  if (flow === handleEdgeIrq) return "-edge    ";
  return flow === handleFasteoiIrq ? "-fasteoi " : "";
}

function columns(k: Kernel, count: (cpu: number) => number): string {
  const online = k.cpus.filter((cpu) => cpu.online);
  return online.map(({ number }) => `${`${count(number)}`.padStart(10)} `).join("");
}

function systemRows(k: Kernel, width: number): string[] {
  const row = (label: string, vector: number, text: string): string => {
    const counts = k.irqs.systemVectors[vector]?.counts ?? [];
    return `${label.padStart(width)}: ${columns(k, (cpu) => counts[cpu] ?? 0)}  ${text}`;
  };
  const single = (label: string): string => `${label.padStart(width)}: ${"0".padStart(10)}`;
  const rows = [
    row("LOC", vectors.LOCAL_TIMER, "Local timer interrupts"),
    single("ERR"),
    single("MIS"),
    row("PIN", vectors.POSTED_INTR, "Posted-interrupt notification event"),
    row("NPI", vectors.POSTED_INTR_NESTED, "Nested posted-interrupt event"),
    row("PIW", vectors.POSTED_INTR_WAKEUP, "Posted-interrupt wakeup event"),
  ];
  if (k.runs(withPostedMsi)) {
    rows.push(row("PMN", vectors.POSTED_MSI_NOTIFICATION, "Posted MSI notification event"));
  }
  return rows;
}
