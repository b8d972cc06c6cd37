/** Input that cannot be used. The message is one line that says what, where, and what was expected. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** What went wrong with an input, with the input's name before it, once; another kind of error as it is. */
export function withName(error: unknown, name: string): Error {
  if (!(error instanceof InputError) || error.message.startsWith(`${name}: `)) return error as Error;
  return new InputError(`${name}: ${error.message}`);
}
