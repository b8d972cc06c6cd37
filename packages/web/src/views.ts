import type { ComponentType } from "preact";
import { BitsView } from "./views/bits/bits-view.tsx";
import { LearnView } from "./views/learn/learn-view.tsx";
import { MachineView } from "./views/machine/machine-view.tsx";
import { PasteView } from "./views/paste/paste-view.tsx";
import { PathView } from "./views/path/path-view.tsx";
import { RacesView } from "./views/races/races-view.tsx";
import { TimelineView } from "./views/timeline/timeline-view.tsx";

/** A view of the page: what the first part of the address's hash names. */
export interface View {
  readonly id: string;
  readonly title: string;
  /** One sentence: what one does there. */
  readonly hint: string;
  readonly Body: ComponentType;
}

/** In the order in which the page offers them; the first is where one arrives. */
export const views: readonly View[] = [
  { id: "paste", title: "Paste", hint: "Anything a machine printed: what it says", Body: PasteView },
  { id: "path", title: "Path", hint: "One interrupt, step by step", Body: PathView },
  { id: "bits", title: "Bits", hint: "Every layout, bit by bit", Body: BitsView },
  { id: "timeline", title: "Timeline", hint: "Who did what when", Body: TimelineView },
  {
    id: "machine",
    title: "Machine",
    hint: "A whole host: its map and what is wrong with it",
    Body: MachineView,
  },
  { id: "races", title: "Races", hint: "Every interleaving of posting and scheduling", Body: RacesView },
  { id: "learn", title: "Learn", hint: "The path in nine stops", Body: LearnView },
];
