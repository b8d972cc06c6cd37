/** One event of a trace, as a reader of the trace finds it. */
export interface SeenEvent {
  readonly type: "begin" | "end" | "instant";
  readonly time: number;
  readonly track: string;
  readonly name: string;
  readonly flows: readonly number[];
  readonly lastFlows: readonly number[];
  readonly values: Readonly<Record<string, bigint>>;
}

export interface SeenTrack {
  readonly name: string;
  readonly parent: string | null;
  readonly rank: number;
}

export interface SeenTrace {
  readonly tracks: readonly SeenTrack[];
  readonly events: readonly SeenEvent[];
  /** Sequence flags, packet by packet. */
  readonly flags: readonly number[];
}

/** A field of a protocol buffer: a varint or eight bytes as a number, else bytes. */
type Field = readonly [number: number, value: bigint | Uint8Array];

const types = ["begin", "end", "instant"] as const;

/** Takes the bytes of a message apart, by the wire format alone. */
export function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 63n) throw new Error(`varint at ${at}`);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const length = tag % 8 === 2 ? Number(varint()) : tag % 8 === 1 ? 8 : 0;
    if (tag % 8 === 0) fields.push([tag >>> 3, varint()]);
    else if (length > bytes.length - at || ![1, 2].includes(tag % 8)) throw new Error(`field at ${at}`);
    else {
      const content = bytes.subarray(at, at + length);
      at += length;
      fields.push([
        tag >>> 3,
        tag % 8 === 1
          ? new DataView(content.buffer, content.byteOffset, length).getBigUint64(0, true)
          : content,
      ]);
    }
  }
  return fields;
}

/** Reads a trace as Perfetto's trace processor does: names are looked up in what was interned before. */
export function readTrace(bytes: Uint8Array): SeenTrace {
  const uuids = new Map<bigint, string>();
  const names = new Map<bigint, string>();
  const valueNames = new Map<bigint, string>();
  const tracks: SeenTrack[] = [];
  const events: SeenEvent[] = [];
  const flags: number[] = [];
  for (const [packet, content] of fieldsOf(bytes)) {
    if (packet !== 1) throw new Error(`field ${packet} beside the packets`);
    const fields = fieldsOf(content as Uint8Array);
    if (one(fields, 10) !== 1n) throw new Error("no trusted_packet_sequence_id");
    flags.push(Number(one(fields, 13)));
    for (const interned of all(fields, 12)) {
      for (const [field, entry] of fieldsOf(interned as Uint8Array)) {
        const parts = fieldsOf(entry as Uint8Array);
        (field === 2 ? names : valueNames).set(one(parts, 1)!, text(parts, 2));
      }
    }
    for (const descriptor of all(fields, 60)) {
      const parts = fieldsOf(descriptor as Uint8Array);
      const parent = one(parts, 5);
      uuids.set(one(parts, 1)!, text(parts, 2));
      tracks.push({
        name: text(parts, 2),
        parent: parent === undefined ? null : uuids.get(parent)!,
        rank: Number(BigInt.asIntN(64, one(parts, 12)!)),
      });
    }
    for (const event of all(fields, 11)) {
      const parts = fieldsOf(event as Uint8Array);
      const name = one(parts, 10);
      events.push({
        type: types[Number(one(parts, 9)) - 1]!,
        time: Number(one(fields, 8)),
        track: uuids.get(one(parts, 11)!)!,
        name: name === undefined ? "" : names.get(name)!,
        flows: all(parts, 47).map(Number),
        lastFlows: all(parts, 48).map(Number),
        values: Object.fromEntries(
          all(parts, 4).map((annotation) => {
            const [[, id], [field, value]] = fieldsOf(annotation as Uint8Array) as [Field, Field];
            return [
              valueNames.get(id as bigint)!,
              field === 4 ? BigInt.asIntN(64, value as bigint) : (value as bigint),
            ];
          }),
        ),
      });
    }
  }
  return { tracks, events, flags };
}

/** Collects what a sink is given. */
export function collect(): {
  readonly sink: (bytes: Uint8Array) => void;
  readonly bytes: () => Uint8Array;
  chunks: number;
} {
  const parts: Uint8Array[] = [];
  return {
    sink(bytes) {
      this.chunks++;
      parts.push(bytes.slice());
    },
    bytes: () => {
      const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const part of parts) {
        whole.set(part, at);
        at += part.length;
      }
      return whole;
    },
    chunks: 0,
  };
}

function all(fields: readonly Field[], number: number): (bigint | Uint8Array)[] {
  return fields.filter(([field]) => field === number).map(([, value]) => value);
}

function one(fields: readonly Field[], number: number): bigint | undefined {
  return all(fields, number)[0] as bigint | undefined;
}

function text(fields: readonly Field[], number: number): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(all(fields, number)[0] as Uint8Array);
}
