/** One parameter of a command line; a value of null is a parameter without `=`. */
export interface Argument {
  readonly name: string;
  readonly value: string | null;
}

export interface Arguments {
  readonly kernel: readonly Argument[];
  /** What stands behind ` -- `: it is init's, and the kernel takes nothing of it. Null without one. */
  readonly init: string | null;
}

/** What the kernel's `isspace` knows below U+0100. */
const spaces = new Set(" \t\n\v\f\r\u00a0");

/** Takes a command line apart as the kernel's `parse_args` and `next_arg` do: at spaces outside of double quotes. */
export function splitArguments(text: string): Arguments {
  const kernel: Argument[] = [];
  let at = skipSpaces(text, 0);
  while (at < text.length) {
    const { argument, next } = nextArgument(text, at);
    at = skipSpaces(text, next);
    if (argument.value === null && argument.name === "--") return { kernel, init: text.slice(at) };
    kernel.push(argument);
  }
  return { kernel, init: null };
}

/** How names compare: a dash is an underscore. */
export function canonicalName(name: string): string {
  return name.replaceAll("-", "_");
}

function skipSpaces(text: string, from: number): number {
  let at = from;
  while (spaces.has(text[at]!)) at++;
  return at;
}

/** The parameter that begins at a place which is no space. Quotes inside of a name or a value stay where they are. */
function nextArgument(text: string, from: number): { readonly argument: Argument; readonly next: number } {
  const quoted = text[from] === '"';
  const start = quoted ? from + 1 : from;
  let inQuotes = quoted;
  let equals = 0;
  let end = start;
  for (; end < text.length && (inQuotes || !spaces.has(text[end]!)); end++) {
    // A sign at the very start does not count.
    if (equals === 0 && text[end] === "=") equals = end - start;
    if (text[end] === '"') inQuotes = !inQuotes;
  }
  const closed = end > start && text[end - 1] === '"';
  if (equals === 0) {
    return {
      argument: { name: text.slice(start, quoted && closed ? end - 1 : end), value: null },
      next: end,
    };
  }
  const valueQuoted = text[start + equals + 1] === '"';
  const valueStart = start + equals + (valueQuoted ? 2 : 1);
  const valueEnd = (valueQuoted || quoted) && closed ? end - 1 : end;
  return {
    argument: { name: text.slice(start, start + equals), value: text.slice(valueStart, valueEnd) },
    next: end,
  };
}
