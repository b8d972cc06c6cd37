import { InputError, type Parameter } from "@intremap/core";

/**
 * A scenario's own options, as they stood on the command line: `--vectors 66` and `--vectors=66`.
 * @param others what else the command takes, for messages.
 * @throws InputError for options that are no parameter of the scenario.
 */
export function valuesOf(
  rest: readonly string[],
  parameters: readonly Parameter[],
  scenario: string,
  others: string,
): Record<string, number> {
  const values: Record<string, number> = {};
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i]!;
    const equals = word.indexOf("=");
    const option = equals < 0 ? word : word.slice(0, equals);
    const attached = equals < 0 ? undefined : word.slice(equals + 1);
    const parameter = parameters.find(({ name }) => option === `--${name}`);
    if (parameter === undefined) {
      const known = parameters.map(({ name }) => `--${name}`).join(", ");
      throw new InputError(
        `${scenario} has no option "${option}": expected ${known === "" ? "" : `${known}, `}${others}`,
      );
    }
    const text = attached ?? rest[++i];
    if (text === undefined || !/^\d{1,15}$/.test(text)) {
      throw new InputError(
        `${option} "${text ?? ""}": expected a whole number from ${parameter.from} to ${parameter.to}`,
      );
    }
    const value = Number(text);
    if (value < parameter.from || value > parameter.to) {
      throw new InputError(
        `${option} ${value}: expected a whole number from ${parameter.from} to ${parameter.to}`,
      );
    }
    values[parameter.name] = value;
  }
  return values;
}
