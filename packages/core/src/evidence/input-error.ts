/** Input that cannot be used. The message is one line that says what, where, and what was expected. */
export class InputError extends Error {
  override readonly name = "InputError";
}
