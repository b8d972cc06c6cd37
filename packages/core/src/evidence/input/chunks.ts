import { InputError } from "../input-error.ts";

/** Bytes in pieces, as they come. */
export type Chunks = AsyncIterable<Uint8Array>;

/** Bytes of text that are taken in at once. */
export const textLimit: number = 64 * 2 ** 20;

export async function* inOnePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The first bytes, at least `length` of them if there are so many, and everything with them. */
export async function peek(source: Chunks, length: number): Promise<{ head: Uint8Array; rest: Chunks }> {
  const iterator = source[Symbol.asyncIterator]();
  const pieces: Uint8Array[] = [];
  for (let kept = 0; kept < length;) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    pieces.push(value);
    kept += value.length;
  }
  const head = joined(pieces);
  return { head, rest: prepend(head, iterator) };
}

/** Ends what has been begun with {@link peek} and is not wanted any more. */
export async function letGo(chunks: Chunks): Promise<void> {
  await chunks[Symbol.asyncIterator]().return?.();
}

/**
 * Reads bytes to their end.
 * @throws InputError when there are more than `limit`.
 */
export async function readChunks(chunks: Chunks, name: string, limit: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of chunks) {
    length += piece.length;
    if (length > limit) throw tooMuch(name, limit);
    pieces.push(piece);
  }
  return joined(pieces);
}

/** @param limit the most that is read, in bytes. */
export function tooMuch(name: string, limit: number): InputError {
  return new InputError(`${name}: more than ${printSize(limit)}, which is the most that is read`);
}

/** Pieces in one; a single one is not copied. */
export function joined<Piece extends Uint8Array>(pieces: readonly Piece[]): Piece | Uint8Array<ArrayBuffer> {
  if (pieces.length === 1) return pieces[0]!;
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** No generator: one that was not begun does not let go of what it would have read. */
function prepend(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): Chunks {
  let first: Uint8Array | undefined = head;
  const all: AsyncIterator<Uint8Array> = {
    next: () => {
      if (first === undefined) return iterator.next();
      const value = first;
      first = undefined;
      return Promise.resolve({ done: false, value });
    },
    return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
  };
  return { [Symbol.asyncIterator]: () => all };
}

/** Whole MiB, or bytes where it is less than one. */
export function printSize(bytes: number): string {
  return bytes >= 2 ** 20 ? `${Math.floor(bytes / 2 ** 20)} MiB` : `${bytes} bytes`;
}
