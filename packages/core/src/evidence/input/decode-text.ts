/** Node, browsers and workers have it; TypeScript's library of the language alone does not know it. */
declare const TextDecoder: new (encoding?: string) => { decode(bytes: Uint8Array): string };
declare const TextEncoder: new () => { encode(text: string): Uint8Array };

/** Text in UTF-8, or in UTF-16 if it starts with that mark. Bytes that are no text become U+FFFD. */
export function decodeText(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  return new TextDecoder(encoding).decode(bytes);
}

/** Text in UTF-8 alone. */
export function decodeUtf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** UTF-8. */
export function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
