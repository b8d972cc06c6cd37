const chunk = 8192;

/** Text of some bytes, each a character of Latin-1: what these files say that matters is ASCII. */
export function textOf(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += chunk) {
    text += String.fromCharCode(...bytes.subarray(at, at + chunk));
  }
  return text;
}
