import type { Missing } from "../../evidence/host/fact.ts";

/** Something that a unit's answer can hang on and that a host's state may not tell. */
export interface Setting<Value> {
  /** As the documents write it: `GSTS.IRES`. */
  readonly name: string;
  /** One value where it is known; else every one that it can have, or the ends of their range. */
  readonly values: readonly Value[];
  readonly missing: Missing;
}

export type Settings = Readonly<Record<string, Setting<number>>>;

/** One value for each setting. */
export type Choice<Of extends Settings> = { readonly [Name in keyof Of]: number };

/** What came of one choice; equal keys are equal answers. */
export interface Answer<Of extends Settings, Result> {
  readonly choice: Choice<Of>;
  readonly key: string;
  readonly result: Result;
}

/** Every choice, the first values first. */
export function choices<Of extends Settings>(settings: Of): Choice<Of>[] {
  let all: Record<string, number>[] = [{}];
  for (const [name, { values }] of Object.entries(settings)) {
    all = all.flatMap((choice) =>
      values.map((value) => Object.fromEntries([...Object.entries(choice), [name, value]])),
    );
  }
  return all as Choice<Of>[];
}

/** The settings on which the answer hangs: alone to change one of them can change it. */
export function decisive<Of extends Settings>(
  settings: Of,
  answers: readonly Answer<Of, unknown>[],
): (keyof Of & string)[] {
  return Object.keys(settings).filter((name) => {
    const groups = new Map<string, string>();
    return answers.some(({ choice, key }) => {
      const others = JSON.stringify({ ...choice, [name]: null });
      const before = groups.get(others);
      groups.set(others, before ?? key);
      return before !== undefined && before !== key;
    });
  });
}

/** A choice's values of some settings, as text. */
export function printChoice<Of extends Settings>(
  settings: Of,
  choice: Choice<Of>,
  names: readonly (keyof Of & string)[],
): string {
  return names.map((name) => `${settings[name]!.name}=${choice[name]}`).join(", ");
}

/** Whether a bit is set; null where it may be either. */
export function known({ values }: Setting<number>): boolean | null {
  return values.length === 1 ? values[0] === 1 : null;
}

/** What is known of a bit, as its value. */
export function flag(value: boolean | undefined): number | undefined {
  return value === undefined ? undefined : value ? 1 : 0;
}
