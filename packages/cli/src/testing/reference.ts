/**
 * A second, simple reading of the same traces: text and bigints, written from the documents and not from the model.
 * It says at which lines a trace disagrees with a unit that keeps entries (`strict`) or reads them anew (`qemu`).
 */
export type Manner = "strict" | "qemu";

/** The message as `addr,data`, or why there is none. */
type Result = string;

interface Request {
  line: number;
  address: bigint;
  data: bigint;
  requester: string;
  place: string;
  index: bigint;
  entry?: bigint;
  outcome?: { line: number; message: string };
  delivery?: { line: number; text: string };
}

const blocked = "blocked";

function bitsOf(value: bigint, high: number, low: number): bigint {
  return (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

function message(dest: bigint, rh: bigint, dm: bigint, vector: bigint, dlm: bigint, tm: bigint): Result {
  const address =
    0xfee00000n | (bitsOf(dest, 7, 0) << 12n) | (rh << 3n) | (dm << 2n) | (bitsOf(dest, 31, 8) << 40n);
  const data = vector | (dlm << 8n) | 0x4000n | (tm << 15n);
  return `0x${address.toString(16)},0x${data.toString(16)}`;
}

/** VT-d, EIME=0, requester unknown. `keep`: a unit that keeps entries keeps this one. */
function vtd(entry: bigint, manner: Manner): { result: Result; keep: boolean } {
  const field = (high: number, low: number): bigint => bitsOf(entry, high, low);
  if (field(0, 0) === 0n) return { result: blocked, keep: false };
  if (manner === "strict" && field(15, 15) === 1n) {
    const reserved = field(7, 2) | field(13, 12) | field(37, 24) | field(95, 84);
    if (reserved !== 0n || field(83, 82) === 3n || field(127, 96) >> 20n !== 0n)
      return { result: blocked, keep: false };
    return { result: "posted", keep: true };
  }
  let bad = field(14, 12) !== 0n || field(31, 24) !== 0n || field(127, 84) !== 0n;
  const dlm = field(7, 5);
  if (manner === "strict") {
    bad ||= field(39, 32) !== 0n || field(63, 48) !== 0n || field(83, 82) === 3n;
    bad ||= dlm === 3n || dlm === 6n || (dlm === 2n && field(23, 16) !== 0n);
  }
  if (bad) return { result: blocked, keep: false };
  return {
    result: message(field(47, 40), field(3, 3), field(2, 2), field(23, 16), dlm, field(4, 4)),
    keep: true,
  };
}

/** AMD-Vi, GAEn=1, GAMEn=0, XTEn=0; a physical request without a redirection hint. */
function amdvi(entry: bigint, manner: Manner): { result: Result; keep: boolean } {
  const field = (high: number, low: number): bigint => bitsOf(entry, high, low);
  const none = { result: blocked, keep: false };
  if (field(0, 0) === 0n || field(7, 7) === 1n || field(4, 2) > 1n) return none;
  if (manner === "strict" && (field(119, 72) !== 0n || field(31, 16) !== 0n || field(127, 120) !== 0n))
    return none;
  const eoi = field(5, 5);
  const [hint, level] = manner === "strict" ? [0n, eoi] : [eoi, 0n];
  return { result: message(field(15, 8), hint, field(6, 6), field(71, 64), field(4, 2), level), keep: true };
}

function deliveryOf(result: Result): string {
  const [address, data] = result.split(",").map(BigInt) as [bigint, bigint];
  return [
    bitsOf(address, 19, 12),
    bitsOf(address, 2, 2),
    bitsOf(data, 10, 8),
    bitsOf(data, 7, 0),
    bitsOf(data, 15, 15),
  ].join(" ");
}

/** The lines at which the trace disagrees, counted from 1. Entries must be whole and requests must have outcomes. */
export function disagreements(lines: readonly string[], manner: Manner): number[] {
  const found: number[] = [];
  const kept = new Map<string, Result>();
  let enabled = false;
  let request: Request | undefined;

  const settle = (): void => {
    if (request === undefined) return;
    const { entry, outcome, delivery, place, line } = request;
    let result = `0x${request.address.toString(16)},0x${request.data.toString(16)}`;
    if (entry !== undefined) {
      const held = manner === "strict" ? kept.get(place) : undefined;
      if (held === undefined) {
        const decided = place.startsWith("vtd") ? vtd(entry, manner) : amdvi(entry, manner);
        result = decided.result;
        if (decided.keep) kept.set(place, result);
      } else result = held;
    }
    request = undefined;
    if (outcome === undefined) {
      if (result !== blocked) found.push(line);
    } else if (outcome.message !== result) found.push(outcome.line);
    else if (delivery !== undefined && delivery.text !== deliveryOf(result)) found.push(delivery.line);
  };

  for (const [i, text] of lines.entries()) {
    const line = i + 1;
    const [name] = text.split(" ", 1);
    const hexes = (text.match(/0x[0-9a-f]+/g) ?? []).map(BigInt);
    switch (name) {
      case "vtd_ir_remap_msi_req":
      case "amdvi_ir_remap_msi_req":
        settle();
        request = {
          line,
          address: hexes[0]!,
          data: hexes[1]!,
          requester: String(hexes[2]),
          place: "",
          index: 0n,
        };
        break;
      case "vtd_ir_irte_get":
        request!.entry = (hexes[0]! << 64n) | hexes[1]!;
        request!.place = `vtd ${/index (\d+)/.exec(text)![1]}`;
        break;
      case "amdvi_ir_irte":
        request!.place = `amdvi ${request!.requester} ${hexes[0]} ${hexes[1]}`;
        break;
      case "amdvi_ir_irte_ga_val":
        request!.entry = (hexes[0]! << 64n) | hexes[1]!;
        break;
      case "vtd_ir_remap_msi":
      case "amdvi_ir_remap_msi":
        request!.outcome = { line, message: `0x${hexes[2]!.toString(16)},0x${hexes[3]!.toString(16)}` };
        break;
      case "apic_deliver_irq":
        request!.delivery = { line, text: text.match(/\b\d+/g)!.join(" ") };
        break;
      case "vtd_inv_desc_iec": {
        settle();
        const [selective, index, mask] = hexes as [bigint, bigint, bigint];
        if (selective === 0n) kept.clear();
        else for (let n = 0n; n < 1n << mask; n++) kept.delete(`vtd ${((index >> mask) << mask) + n}`);
        break;
      }
      case "amdvi_intr_inval":
      case "amdvi_all_inval":
        settle();
        kept.clear();
        break;
      case "amdvi_control_status":
        settle();
        if (!enabled) kept.clear();
        enabled = bitsOf(hexes[0]!, 0, 0) === 1n;
        break;
    }
  }
  settle();
  return found;
}
