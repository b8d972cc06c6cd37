import { TimelineStore, TraceTimeline, expanded, inOnePiece, withName } from "@intremap/core";
import { type Recorded, forget, keep } from "../kept-timeline.ts";
import { FileSlices } from "../sources/file-slices.ts";
import { expanders } from "../sources/decoders.ts";
import type { Tell } from "../tasks.ts";

/** A QEMU trace log: a file, perhaps compressed, or text. */
export interface TracedInput {
  readonly name: string;
  readonly content: File | string;
}

/** Puts a trace on a timeline. @throws InputError when it cannot be read. */
export async function traceTimeline({ name, content }: TracedInput, tell: Tell): Promise<Recorded> {
  forget();
  const chunks =
    typeof content === "string"
      ? inOnePiece(new TextEncoder().encode(content))
      : new FileSlices(content, name).chunks();
  const store = new TimelineStore();
  const trace = new TraceTimeline(store);
  try {
    for await (const chunk of expanded(chunks, name, expanders)) {
      trace.feed(chunk);
      tell(`${trace.lines.toLocaleString("en")} lines`);
    }
    const { vendor, lines, stamped } = trace.finish();
    tell("sorting the events");
    const unit = vendor === undefined ? "no remapping unit" : vendor === "intel" ? "VT-d" : "AMD-Vi";
    const about = `QEMU trace, ${unit}, ${lines.toLocaleString("en")} lines${stamped ? "" : " without time stamps: one after the other"}`;
    return keep(store, { title: name, about, lines: !stamped, vendor: vendor ?? null });
  } catch (error) {
    throw withName(error, name);
  }
}
