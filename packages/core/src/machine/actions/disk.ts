import { type Of, type Scene, type Told, plural, told } from "./scene.ts";

export async function diskRead(scene: Scene, { vm, sector, count }: Of<"disk-read">): Promise<Told> {
  const { read, image } = await scene.machine.vm(vm).readDisk(sector, count);
  const equal = read.length === image.length && read.every((byte, i) => byte === image[i]);
  scene.dataEqual = (scene.dataEqual ?? true) && equal;
  const text = String.fromCodePoint(...read.subarray(0, 72)).replaceAll(/[^ -~]+.*/gs, "");
  return told(
    `the guest reads ${plural(count, "sector")} from ${sector} on`,
    equal ? `${read.length} bytes, the image's: "${text}…"` : "what it read is not what the image holds",
  );
}

export async function diskWrite(scene: Scene, { vm, sector, text }: Of<"disk-write">): Promise<Told> {
  const status = await scene.machine.vm(vm).writeDisk(sector, text);
  return told(`the guest writes sector ${sector}`, status === 0 ? "done" : `refused with status ${status}`);
}
