import { InputError } from "../input-error.ts";

/** What a decoder makes of data; what it says of data that it refuses becomes one line. @throws InputError */
export function refusable(name: string, expand: () => Uint8Array): Uint8Array {
  try {
    return expand();
  } catch (error) {
    throw error instanceof InputError ? error : new InputError(`${name} data: damaged or cut off`);
  }
}
