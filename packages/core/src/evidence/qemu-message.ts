import { type Matcher, fromHex } from "./log-line.ts";

/** What QEMU's VT-d says of a request that it blocks, or thinks wrong. */
export interface QemuWarning {
  readonly kind: "qemu-warning";
  readonly line: number;
  readonly warning:
    | "invalid-msi"
    | "index-too-large"
    | "read-failed"
    | "not-present"
    | "reserved"
    | "source-id"
    | "bus-range"
    | "svt"
    | "vector"
    | "trigger"
    | "fixup-failed"
    | "kernel-irqchip";
  /** The requester's source id, where it is printed. */
  readonly sid: number | null;
  readonly index: number | null;
  /** The message, where it is printed. */
  readonly address: bigint | null;
  readonly data: bigint | null;
  /** The entry, 128 bits, where it is printed. */
  readonly entry: bigint | null;
}

const none = { sid: null, index: null, address: null, data: null, entry: null };

type Found = Omit<QemuWarning, "kind" | "line" | "warning">;

function matcher(
  warning: QemuWarning["warning"],
  probe: string,
  pattern: RegExp,
  read: (groups: readonly string[]) => Partial<Found>,
): Matcher<QemuWarning> {
  return {
    probe,
    pattern,
    read: (match, line) => ({
      kind: "qemu-warning",
      line: line.number,
      warning,
      ...none,
      ...read(match.slice(1)),
    }),
  };
}

const entry = "index=(\\d{1,5}), high=0x([0-9a-f]{1,16}), low=0x([0-9a-f]{1,16})";

function readEntry([index, high, low]: readonly string[]): Partial<Found> {
  return { index: Number(index), entry: (fromHex(high!) << 64n) | fromHex(low!) };
}

export const qemuMatchers: readonly Matcher<QemuWarning>[] = [
  matcher(
    "invalid-msi",
    "invalid IR MSI",
    /invalid IR MSI \(sid=(\d{1,5}), address=0x([0-9a-f]{1,16}), data=0x([0-9a-f]{1,16})\)/g,
    ([sid, address, data]) => ({ sid: Number(sid), address: fromHex(address!), data: fromHex(data!) }),
  ),
  matcher("index-too-large", "index too large", /index too large: ind=0x([0-9a-f]{1,8})\b/g, ([index]) => ({
    index: Number.parseInt(index!, 16),
  })),
  matcher(
    "read-failed",
    "vtd_irte_get: read failed",
    /read failed: ind=0x([0-9a-f]{1,8}) addr=0x[0-9a-f]{1,16}/g,
    ([index]) => ({ index: Number.parseInt(index!, 16) }),
  ),
  matcher("not-present", "non-present IRTE", new RegExp(`non-present IRTE \\(${entry}\\)`, "g"), readEntry),
  matcher("reserved", "reserved IRTE", new RegExp(`reserved IRTE \\(${entry}\\)`, "g"), readEntry),
  matcher(
    "source-id",
    "invalid IRTE SID",
    /invalid IRTE SID \(index=(\d{1,5}), sid=(\d{1,5}), source_id=\d{1,5}\)/g,
    ([index, sid]) => ({ index: Number(index), sid: Number(sid) }),
  ),
  matcher(
    "bus-range",
    "invalid SVT_BUS",
    /invalid SVT_BUS \(index=(\d{1,5}), bus=\d{1,3}, min=\d{1,3}, max=\d{1,3}\)/g,
    ([index]) => ({ index: Number(index) }),
  ),
  matcher("svt", "invalid IRTE SVT", /invalid IRTE SVT \(index=(\d{1,5}), type=\d\)/g, ([index]) => ({
    index: Number(index),
  })),
  matcher(
    "vector",
    "vtd_warn_ir_vector",
    /vtd_warn_ir_vector sid 0x([0-9a-f]{1,4}) index (\d{1,5}) vec \d{1,3}/g,
    ([sid, index]) => ({ sid: Number.parseInt(sid!, 16), index: Number(index) }),
  ),
  matcher(
    "trigger",
    "vtd_warn_ir_trigger",
    /vtd_warn_ir_trigger sid 0x([0-9a-f]{1,4}) index (\d{1,5}) trigger \d/g,
    ([sid, index]) => ({ sid: Number.parseInt(sid!, 16), index: Number(index) }),
  ),
  matcher(
    "fixup-failed",
    "failed to remap interrupt",
    /VT-d failed to remap interrupt for GSI \d{1,6}/g,
    () => ({}),
  ),
  matcher(
    "kernel-irqchip",
    "kernel-irqchip=on",
    /Interrupt Remapping cannot work with kernel-irqchip=on/g,
    () => ({}),
  ),
];
