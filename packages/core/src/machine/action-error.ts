import { errno } from "../linux/errno.ts";

/** Something that a script asked for was refused by the software that runs. */
export class ActionError extends Error {
  override readonly name = "ActionError";
}

/**
 * Lets a result through.
 * @param result of a kernel function.
 * @throws ActionError when it is a negative errno.
 */
export function succeeded(what: string, result: number): number {
  if (result < 0) throw new ActionError(`${what}: ${errnoName(result)}`);
  return result;
}

function errnoName(result: number): string {
  const found = Object.entries(errno).find(([, number]) => number === -result);
  return found === undefined ? String(result) : `-${found[0]}`;
}
