/** Colours of the page as a canvas wants them. */
export interface Palette {
  readonly paper: string;
  readonly raised: string;
  readonly line: string;
  readonly ink: string;
  readonly faint: string;
  readonly accent: string;
  readonly mark: string;
  readonly bad: string;
  /** The font of what is drawn, and the width of one character of it. */
  readonly font: string;
  readonly advance: number;
  readonly kinds: readonly Tints[];
}

/** One colour in its strengths. */
export interface Tints {
  readonly solid: string;
  /** Of slices: neighbours of other names differ. */
  readonly slices: readonly string[];
  /** Of stretches in which rows are too narrow to be told apart, by how much of it they take. */
  readonly dense: readonly string[];
}

/** What colours tell apart; groups first, then what overrules them. */
const tokens = {
  devices: "--warn",
  IOMMU: "--accent",
  processors: "--faint",
  vCPUs: "--good",
  threads: "--accent",
  bad: "--bad",
  posted: "--posted",
  other: "--faint",
} as const;

export type Kind = keyof typeof tokens;

const kinds = Object.keys(tokens) as Kind[];

export function kindNumber(kind: Kind): number {
  return kinds.indexOf(kind);
}

export function groupKind(group: string): number {
  const at = kinds.indexOf(group as Kind);
  return at < 0 ? kindNumber("other") : at;
}

/** What overrules its group's colour, by an event's name; -1 for nothing. */
export function nameKind(name: string): number {
  if (/^(?:blocked|undelivered|.*refused)/.test(name)) return kindNumber("bad");
  if (/^posted$|^virtual vector|^vector (?:f[12]|eb)h$/.test(name)) return kindNumber("posted");
  return -1;
}

/** Reads the colours that hold where an element stands. */
export function paletteAt(element: HTMLElement): Palette {
  const probe = document.createElement("span");
  element.append(probe);
  const colour = (token: string): string => {
    probe.style.color = `var(${token})`;
    return getComputedStyle(probe).color;
  };
  const mixed = (token: string, share: number): string => {
    probe.style.color = `color-mix(in srgb, var(${token}) ${share}%, var(--paper))`;
    return getComputedStyle(probe).color;
  };
  probe.style.fontFamily = "var(--mono)";
  const font = `11px ${getComputedStyle(probe).fontFamily}`;
  const context = document.createElement("canvas").getContext("2d")!;
  context.font = font;
  const palette: Palette = {
    paper: colour("--paper"),
    raised: colour("--raised"),
    line: colour("--line"),
    ink: colour("--ink"),
    faint: colour("--faint"),
    accent: colour("--accent"),
    mark: colour("--mark"),
    bad: colour("--bad"),
    font,
    advance: context.measureText("0".repeat(100)).width / 100,
    kinds: kinds.map((kind) => ({
      solid: mixed(tokens[kind], 80),
      slices: [18, 24, 30, 36].map((share) => mixed(tokens[kind], share)),
      dense: [28, 44, 62].map((share) => mixed(tokens[kind], share)),
    })),
  };
  probe.remove();
  return palette;
}
