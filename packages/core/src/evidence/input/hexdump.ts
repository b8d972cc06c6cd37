/** Bytes that a text shows, and the line on which they begin, from 1. */
export interface Hexdump {
  readonly line: number;
  readonly bytes: Uint8Array;
}

/** The longest dump that is read, in bytes; what follows is left out. */
export const hexdumpLimit: number = 1 << 20;
const dumpLimit = 256;
const rowBytes = 16;

const row = /^\s{0,16}([0-9a-fA-F]{4,16})(:?)[ \t]{1,8}([0-9a-fA-F]{2}.{0,200})$/;
/** Where the bytes of a row end: text stands to the right of a gap. */
const textColumn = / {3}|\t|\||[^0-9a-fA-F ]/;

interface Row {
  /** Both ways in which the offset may be meant: in hexadecimal, and as `od` prints it. */
  readonly offsets: readonly number[];
  readonly bytes: readonly number[];
}

/** Groups of two digits are bytes; longer ones are bytes in their order, but for words of `hexdump` without options. */
function readRow(text: string): Row | undefined {
  const match = row.exec(text);
  if (match === null) return undefined;
  const [, offset = "", colon, content = ""] = match;
  const end = textColumn.exec(content);
  const groups = (end === null ? content : content.slice(0, end.index)).trim().split(/ +/);
  const swapped = colon === "" && offset.length === 7 && groups.every((group) => group.length === 4);
  const bytes: number[] = [];
  for (const group of groups) {
    if (group.length % 2 !== 0 || group.length > 8 || !/^[0-9a-fA-F]+$/.test(group)) break;
    const pairs = group.match(/../g)!.map((digits) => Number.parseInt(digits, 16));
    bytes.push(...(swapped ? pairs.reverse() : pairs));
    if (bytes.length >= rowBytes) break;
  }
  if (bytes.length === 0 || bytes.length > rowBytes) return undefined;
  return { offsets: [Number.parseInt(offset, 16), Number.parseInt(offset, 8)], bytes };
}

/**
 * The bytes in a text, as `xxd`, `hexdump -C`, `hexdump`, `od -t x1` and `acpidump` print them. A new dump begins where
 * the offset is 0 again; `*` stands for rows like the one above.
 */
export function readHexdumps(text: string): Hexdump[] {
  const dumps: Hexdump[] = [];
  let bytes: number[] = [];
  let line = 0;
  let again = false;
  const end = (): void => {
    if (bytes.length > 0 && dumps.length < dumpLimit) dumps.push({ line, bytes: Uint8Array.from(bytes) });
    bytes = [];
  };
  let number = 0;
  for (const one of lines(text)) {
    number++;
    if (one.trim() === "*" && bytes.length > 0) {
      again = true;
      continue;
    }
    const found = readRow(one);
    if (found === undefined) continue;
    if (again) repeat(bytes, found.offsets);
    again = false;
    if (found.offsets.includes(bytes.length) && bytes.length > 0) {
      if (bytes.length < hexdumpLimit) bytes.push(...found.bytes);
      continue;
    }
    if (found.offsets[0] !== 0) continue;
    end();
    line = number;
    bytes = [...found.bytes];
  }
  end();
  return dumps;
}

/** Fills up to an offset with the last row. */
function repeat(bytes: number[], offsets: readonly number[]): void {
  const last = bytes.slice(-rowBytes);
  const to = offsets.find((offset) => offset > bytes.length && (offset - bytes.length) % rowBytes === 0);
  if (to === undefined || to > hexdumpLimit) return;
  while (bytes.length < to) bytes.push(...last);
}

function* lines(text: string): Generator<string> {
  for (let at = 0; at < text.length;) {
    let end = text.indexOf("\n", at);
    if (end < 0) end = text.length;
    yield text.slice(at, Math.min(end, at + 256)).replace(/\r$/, "");
    at = end + 1;
  }
}
