import { InputError, MemoryBackend } from "@intremap/core";
import { scenarioImages } from "virtual:scenario-texts";

/** Opens a disk image that came with the page: each time as it was. @throws InputError when there is none. */
export async function openImage(name: string): Promise<MemoryBackend> {
  const given = globalThis.givenScenario?.images ?? {};
  const images = Object.hasOwn(given, name) ? given : scenarioImages;
  const base64 = Object.hasOwn(images, name) ? images[name] : undefined;
  if (base64 === undefined)
    throw new InputError(`image ${name.slice(0, 60)}: it did not come with this page`);
  return new MemoryBackend(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));
}
