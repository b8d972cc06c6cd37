import { linesOf } from "../log-line.ts";
import type { MsiState, MsixState } from "../host/device.ts";
import { type PciAddress, addressOfGroups, pciAddressPattern } from "./pci-address.ts";

/** What lspci prints of one function. */
export interface LspciDevice extends PciAddress {
  readonly line: number;
  readonly vendorId: number | null;
  readonly deviceId: number | null;
  /** 24 bits; null without `-n` or `-nn`. */
  readonly classCode: number | null;
  readonly driver: string | null;
  readonly group: number | null;
  /** As lspci shows it: of a function whose MSI is on, the interrupt of its first message. */
  readonly irq: number | null;
  readonly msi: MsiState | null;
  readonly msix: MsixState | null;
  /** Capabilities were hidden from a user who is not root. */
  readonly denied: boolean;
  /** The hexadecimal dump of `-x`; null without one. */
  readonly config: Uint8Array | null;
}

interface Open {
  line: number;
  address: PciAddress;
  vendorId: number | null;
  deviceId: number | null;
  classCode: number | null;
  driver: string | null;
  group: number | null;
  irq: number | null;
  msi: {
    enabled: boolean;
    used: number;
    available: number;
    message: { address: bigint; data: number } | null;
  } | null;
  msix: {
    enabled: boolean;
    available: number;
    masked: boolean;
    bar: number | null;
    offset: number | null;
  } | null;
  denied: boolean;
  bytes: number[];
}

const configLimit = 4096;
const deviceLimit = 65_536;

const heading = new RegExp(`^${pciAddressPattern} (\\S.*)$`);
const numbered = /^([0-9a-f]{4}): ([0-9a-f]{4}):([0-9a-f]{4})\b/;
const named = /^[^[\]]{1,80} \[([0-9a-f]{4})\]: .{0,400}\[([0-9a-f]{4}):([0-9a-f]{4})\]/;
const interfacePattern = /\(prog-if ([0-9a-f]{2})\b/;
const msi =
  /^\s+Capabilities: \[[0-9a-f]{2,3}\] (?:MSI: Enable([+-]) Count=(\d{1,2})\/(\d{1,2})|Message Signalled Interrupts: [\w+-]{1,16} Queue=(\d)\/(\d) Enable([+-]))/;
const msix =
  /^\s+Capabilities: \[[0-9a-f]{2,3}\] MSI-X: Enable([+-]) (?:Count=(\d{1,4}) Masked([+-])|Mask([+-]) TabSize=(\d{1,4}))/;
const message = /^\s+Address: ([0-9a-f]{8,16})\s{1,4}Data: ([0-9a-f]{1,8})\b/;
const vectorTable = /^\s+Vector table: BAR=([0-7]) offset=([0-9a-f]{1,8})\b/;
const detail = /^\s+(?:PBA: BAR=|Masking: [0-9a-f]{8})/;
const interrupt = /^\s+Interrupt: .{0,60}routed to IRQ (\d{1,9})\b/;
const driver = /^\s+Kernel driver in use: (\S{1,64})\s*$/;
const group = /^\s+IOMMU group: (\d{1,9})\s*$/;
const denied = /^\s+Capabilities: <access denied>/;
const dump = /^([0-9a-f]{2,3}): ((?:[0-9a-f]{2} ){0,15}[0-9a-f]{2})\s*$/;

/**
 * Reads what `lspci` prints, with one to three `-v`, with `-n` or `-nn`, and with `-x` to `-xxxx`. A heading counts as
 * lspci's only if something below it does.
 */
export function readLspci(text: string): { devices: readonly LspciDevice[]; lines: ReadonlySet<number> } {
  const devices: LspciDevice[] = [];
  const lines = new Set<number>();
  let open: Open | undefined;
  let understood: number[] = [];
  let last = 0;
  const close = (): void => {
    if (
      open !== undefined &&
      devices.length < deviceLimit &&
      (understood.length > 0 || open.classCode !== null)
    ) {
      devices.push(deviceOf(open));
      lines.add(open.line);
      for (const line of understood) lines.add(line);
    }
    open = undefined;
    understood = [];
  };
  for (const { number, text: line } of linesOf(text)) {
    const title = heading.exec(line);
    if (title !== null) {
      close();
      open = openDevice(number, title);
    } else if (number > last + 1 || line.trim() === "") close();
    else if (open !== undefined && take(open, line)) understood.push(number);
    last = number;
  }
  close();
  return { devices, lines };
}

function openDevice(line: number, title: RegExpExecArray): Open {
  const rest = title[5]!;
  const ids = numbered.exec(rest) ?? named.exec(rest);
  // With -v, lspci leaves the programming interface out where it is 0 and has no name.
  const programming = Number.parseInt(interfacePattern.exec(rest)?.[1] ?? "0", 16);
  const classId = hex(ids?.[1]);
  return {
    line,
    address: addressOfGroups(title.slice(1, 5)),
    vendorId: hex(ids?.[2]),
    deviceId: hex(ids?.[3]),
    classCode: classId === null ? null : (classId << 8) | programming,
    driver: null,
    group: null,
    irq: null,
    msi: null,
    msix: null,
    denied: false,
    bytes: [],
  };
}

function hex(digits: string | undefined): number | null {
  return digits === undefined ? null : Number.parseInt(digits, 16);
}

/** Whether the line was understood. */
function take(open: Open, line: string): boolean {
  const bytes = dump.exec(line);
  if (bytes !== null) {
    if (Number.parseInt(bytes[1]!, 16) !== open.bytes.length || open.bytes.length >= configLimit)
      return false;
    for (const byte of bytes[2]!.split(" ")) open.bytes.push(Number.parseInt(byte, 16));
    return true;
  }
  if (line.includes("MSI-X: ")) return takeMsix(open, msix.exec(line));
  if (line.includes("MSI: ") || line.includes("Message Signalled")) return takeMsi(open, msi.exec(line));
  const words = message.exec(line);
  if (words !== null) {
    if (open.msi === null || open.msi.message !== null) return false;
    open.msi.message = { address: BigInt(`0x${words[1]}`), data: Number.parseInt(words[2]!, 16) };
    return true;
  }
  const table = vectorTable.exec(line);
  if (table !== null) {
    if (open.msix === null || open.msix.bar !== null) return false;
    open.msix.bar = Number(table[1]);
    open.msix.offset = Number.parseInt(table[2]!, 16);
    return true;
  }
  if (denied.test(line)) return (open.denied = true);
  const irq = interrupt.exec(line)?.[1];
  if (irq !== undefined) open.irq ??= Number(irq);
  const name = driver.exec(line)?.[1];
  if (name !== undefined) open.driver ??= name;
  const number = group.exec(line)?.[1];
  if (number !== undefined) open.group ??= Number(number);
  return irq !== undefined || name !== undefined || number !== undefined || detail.test(line);
}

function takeMsi(open: Open, match: RegExpExecArray | null): boolean {
  if (match === null || open.msi !== null) return false;
  const [, enable, used, available, queue, queues, enableOld] = match;
  open.msi = {
    enabled: (enable ?? enableOld) === "+",
    used: queue === undefined ? Number(used) : 1 << Math.min(Number(queue), 5),
    available: queues === undefined ? Number(available) : 1 << Math.min(Number(queues), 5),
    message: null,
  };
  return true;
}

function takeMsix(open: Open, match: RegExpExecArray | null): boolean {
  if (match === null || open.msix !== null) return false;
  const [, enable, count, masked, maskOld, sizeOld] = match;
  open.msix = {
    enabled: enable === "+",
    available: Number(count ?? sizeOld),
    masked: (masked ?? maskOld) === "+",
    bar: null,
    offset: null,
  };
  return true;
}

function deviceOf({ address, bytes, msi, msix, ...rest }: Open): LspciDevice {
  return {
    ...rest,
    ...address,
    // Without -vv there is neither a message nor a table, and nothing is said of either.
    msi: msi === null || msi.message === null ? null : { ...msi, message: msi.message },
    msix:
      msix === null || msix.bar === null || msix.offset === null
        ? null
        : { ...msix, bar: msix.bar, offset: msix.offset },
    config: bytes.length === 0 ? null : Uint8Array.from(bytes),
  };
}
