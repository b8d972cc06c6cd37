import { signal } from "@preact/signals";
import { Engine } from "../../engine/engine.ts";
import type { RaceChoices } from "../../engine/tasks/list-races.ts";

/** What can be explored, once the engine has said so; or why it has not. */
export const choices = signal<RaceChoices | { readonly message: string } | null>(null);

let asked: Promise<void> | undefined;

export function askForChoices(): void {
  asked ??= ask();
}

async function ask(): Promise<void> {
  const engine = new Engine();
  try {
    choices.value = await engine.ask("listRaces", undefined);
  } catch (error) {
    choices.value = { message: (error as Error).message };
    asked = undefined;
  } finally {
    engine.stop();
  }
}
