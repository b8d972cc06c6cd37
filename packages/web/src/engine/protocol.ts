import type { TaskName } from "./tasks.ts";

/** What the page asks a worker. */
export interface Question {
  readonly id: number;
  readonly task: TaskName;
  readonly input: unknown;
}

/** What it hears: how far it is, the result, or what was wrong in one line. */
export type Reply =
  | { readonly id: number; readonly kind: "progress"; readonly text: string }
  | { readonly id: number; readonly kind: "result"; readonly result: unknown }
  | {
      readonly id: number;
      readonly kind: "error";
      readonly message: string;
      /** It lies with the input, and not with the program. */
      readonly expected: boolean;
    };
