import { effect, signal } from "@preact/signals";

const themes = ["auto", "light", "dark"] as const;

export type Theme = (typeof themes)[number];

/** Light or dark; `auto` is as the system has it. */
export const theme = signal<Theme>("auto");

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

export function nextTheme(): void {
  theme.value = themes[(themes.indexOf(theme.value) + 1) % themes.length]!;
}
