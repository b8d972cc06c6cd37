import type { DomainLevel } from "../host/interrupt.ts";
import { linesOf } from "../log-line.ts";

/** What debugfs `irq/irqs/N` says of one interrupt. */
export interface IrqDump {
  /** The first line of it. */
  readonly line: number;
  /** From the prompt before it, `irqs/87`, or the hwirq of the VECTOR domain, which is the interrupt; null for neither. */
  readonly irq: number | null;
  readonly device: string | null;
  /** irq_data.state_use_accessors. */
  readonly state: number | null;
  /** Names of its bits that the kernel printed. */
  readonly stateNames: ReadonlySet<string>;
  readonly affinity: string | null;
  readonly effective: string | null;
  readonly levels: readonly DomainLevel[];
  /** The vector and Linux's processor; null for an interrupt without one. */
  readonly vector: { readonly vector: number; readonly cpu: number } | null;
  readonly message: { readonly address: bigint; readonly data: number } | null;
}

interface Open {
  line: number;
  prompt: number | null;
  device: string | null;
  state: number | null;
  names: Set<string>;
  affinity: string | null;
  effective: string | null;
  levels: { domain: string; hwirq: bigint | null; chip: string | null }[];
  vector: number | null;
  target: number | null;
  parts: Map<string, number>;
  /** White space before the outermost domain; what is within it stands further in. */
  indent: number;
}

/** Levels of one interrupt; Linux has four at most. */
const levelLimit = 16;

const prompt = /\birqs\/(\d{1,9})\b/;
const key =
  /^\s*(handler|device|dstate|affinity|effectiv|domain|hwirq|chip|address_hi|address_lo|msg_data|Vector|Target):\s*(.*)$/;
const others =
  /^\s*(?:status|istate|ddepth|wdepth|node|pending|flags|parent|Previous vector|Previous target|move_in_progress|is_managed|can_reserve|has_reserved|cleanup_pending):/;
const flag = /^\s*(IRQ[A-Z]?[A-Z]*_[A-Z0-9_]{2,48})\s*$/;

/** Reads the content of files of debugfs `irq/irqs`, one or several behind one another. */
export function readIrqDumps(text: string): { dumps: readonly IrqDump[]; lines: ReadonlySet<number> } {
  const dumps: IrqDump[] = [];
  const lines = new Set<number>();
  let open: Open | undefined;
  let named: { irq: number; line: number } | undefined;
  const close = (): void => {
    if (open !== undefined) dumps.push(dumpOf(open));
    open = undefined;
  };
  for (const { number, text: line } of linesOf(text)) {
    const match = key.exec(line);
    if (match === null) {
      const irq = prompt.exec(line)?.[1];
      if (irq !== undefined) named = { irq: Number(irq), line: number };
      const name = open === undefined ? undefined : flag.exec(line)?.[1];
      if (name?.startsWith("IRQD_") === true) open!.names.add(name);
      if (name !== undefined || (open !== undefined && others.test(line))) lines.add(number);
      continue;
    }
    const [, field, value] = match as unknown as [string, string, string];
    if (field === "handler") {
      close();
      // A prompt names the file that follows it.
      const near = named !== undefined && number - named.line <= 1 ? named.irq : null;
      open = emptyDump(number, near);
    }
    const indent = line.length - line.trimStart().length;
    if (field === "domain" && (open === undefined || (open.levels.length > 0 && indent <= open.indent))) {
      // Somebody cut off what stands before the levels.
      close();
      open = emptyDump(number, null);
    }
    if (open === undefined) continue;
    if (field === "domain" && open.levels.length === 0) open.indent = indent;
    if (take(open, field, value.trim())) lines.add(number);
  }
  close();
  return { dumps, lines };
}

function emptyDump(line: number, irq: number | null): Open {
  return {
    line,
    prompt: irq,
    device: null,
    state: null,
    names: new Set(),
    affinity: null,
    effective: null,
    levels: [],
    vector: null,
    target: null,
    parts: new Map(),
    indent: 0,
  };
}

/** Whether the line was understood. */
function take(open: Open, field: string, value: string): boolean {
  const level = open.levels.at(-1);
  switch (field) {
    case "handler":
      return true;
    case "device":
      if (value !== "(null)" && value !== "") open.device = value;
      return true;
    case "dstate":
      open.state = hexOf(value);
      return open.state !== null;
    case "affinity":
      open.affinity = value;
      return true;
    case "effectiv":
      open.effective = value;
      return true;
    case "domain":
      if (value === "" || value.length > 128 || open.levels.length >= levelLimit) return false;
      open.levels.push({ domain: value, hwirq: null, chip: null });
      return true;
    case "hwirq":
      if (level === undefined || !/^0x[0-9a-f]{1,16}$/.test(value)) return false;
      level.hwirq = BigInt(value);
      return true;
    case "chip":
      if (level === undefined || value === "") return false;
      level.chip = value.slice(0, 128);
      return true;
    case "Vector":
    case "Target":
      // `Not assigned` and `Legacy PIC all CPUs` are no numbers. The vector is printed in decimal.
      if (!/^\d{1,5}$/.test(value)) return true;
      open[field === "Vector" ? "vector" : "target"] = Number(value);
      return true;
    default: {
      const word = hexOf(value);
      if (word === null) return false;
      open.parts.set(field, word);
      return true;
    }
  }
}

function hexOf(text: string): number | null {
  return /^0x[0-9a-f]{1,8}$/.test(text) ? Number(text) : null;
}

function dumpOf(open: Open): IrqDump {
  const levels: DomainLevel[] = [];
  for (const { domain, hwirq, chip } of open.levels) {
    // What stands within a level that was cut off is not known to be the next one's.
    if (hwirq === null || chip === null) break;
    levels.push({ domain, hwirq, chip });
  }
  const root = levels.find(({ domain }) => domain === "VECTOR");
  const [high, low, data] = ["address_hi", "address_lo", "msg_data"].map((part) => open.parts.get(part));
  return {
    line: open.line,
    irq: open.prompt ?? (root === undefined || root.hwirq > 0x7fff_ffffn ? null : Number(root.hwirq)),
    device: open.device,
    state: open.state,
    stateNames: open.names,
    affinity: open.affinity,
    effective: open.effective,
    levels,
    vector: open.vector === null || open.target === null ? null : { vector: open.vector, cpu: open.target },
    message:
      high === undefined || low === undefined || data === undefined
        ? null
        : { address: (BigInt(high) << 32n) | BigInt(low), data },
  };
}
