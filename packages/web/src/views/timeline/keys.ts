/** What keys do while the tracks have the focus; as they are told to the reader. */
export const keyHelp: readonly (readonly [keys: string, what: string])[] = [
  ["← →", "the event before and behind; without a selection: pan"],
  ["↑ ↓", "what encloses it, what stands in it; ↓ without a selection: the first in sight"],
  ["W S", "zoom in and out"],
  ["A D", "pan"],
  [", .", "back and forward along its flow"],
  ["F", "zoom to the selection"],
  ["0", "everything"],
  ["/", "search; from there ↓ leads back"],
  ["Esc", "select nothing"],
];

export type Command =
  | "left"
  | "right"
  | "up"
  | "down"
  | "in"
  | "out"
  | "earlier"
  | "later"
  | "back"
  | "forward"
  | "fit"
  | "all"
  | "search"
  | "none";

const commands: Readonly<Record<string, Command>> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
  w: "in",
  "+": "in",
  "=": "in",
  s: "out",
  "-": "out",
  a: "earlier",
  d: "later",
  ",": "back",
  ".": "forward",
  f: "fit",
  "0": "all",
  "/": "search",
  Escape: "none",
};

/** The command of a key, without one where a modifier makes it the browser's. */
export function commandOf({ key, ctrlKey, metaKey, altKey }: KeyboardEvent): Command | undefined {
  if (ctrlKey || metaKey || altKey) return undefined;
  return commands[key.length === 1 ? key.toLowerCase() : key];
}
