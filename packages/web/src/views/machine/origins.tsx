import type { Origin } from "@intremap/core";

/** Where something was read: the places of one source together. */
export function Origins({ of }: { readonly of: readonly Origin[] }) {
  if (of.length === 0) return null;
  const places = new Map<string, string[]>();
  for (const { source, place } of of) {
    const known = places.get(source) ?? [];
    places.set(source, known);
    if (place !== undefined && !known.includes(place)) known.push(place);
  }
  const text = [...places].map(([source, known]) => [source, ...known].join(" ")).join("; ");
  return <span class="origin">{text}</span>;
}
