import {
  type Layout,
  acpiSpec,
  amdviSpec,
  apicSpec,
  hpetSpec,
  msiSpec,
  pciSpec,
  virtioSpec,
  vtdSpec,
} from "@intremap/core";

/** The layouts of one document. */
export interface LayoutGroup {
  readonly title: string;
  readonly layouts: readonly Layout[];
}

function isLayout(value: unknown): value is Layout {
  return typeof value === "object" && value !== null && "fields" in value && "width" in value;
}

/** A module's layouts, and those in its lists and tables, each once. */
function layoutsIn(module: object): Layout[] {
  const found = new Set<Layout>();
  for (const value of Object.values(module) as unknown[]) {
    if (isLayout(value)) found.add(value);
    else if (typeof value === "object" && value !== null) {
      for (const one of Object.values(value) as unknown[]) {
        if (isLayout(one)) found.add(one);
        else if (typeof one === "object" && one !== null && "layout" in one && isLayout(one.layout)) {
          found.add(one.layout);
        }
      }
    }
  }
  return [...found];
}

const modules: readonly (readonly [title: string, module: object])[] = [
  ["VT-d", vtdSpec],
  ["AMD-Vi", amdviSpec],
  ["Messages", msiSpec],
  ["APICs, posting and AVIC", apicSpec],
  ["PCI", pciSpec],
  ["ACPI tables", acpiSpec],
  ["HPET", hpetSpec],
  ["virtio", virtioSpec],
];

const seen = new Set<string>();

/** Every layout, under the document that describes it. */
export const layoutGroups: readonly LayoutGroup[] = modules.map(([title, module]) => ({
  title,
  layouts: layoutsIn(module).filter(({ name }) => !seen.has(name) && seen.add(name) !== undefined),
}));

const byName = new Map(layoutGroups.flatMap(({ layouts }) => layouts).map((one) => [one.name, one]));

/** The layout with this name: `irte-remapped`. */
export function layoutNamed(name: string): Layout | undefined {
  return byName.get(name);
}
