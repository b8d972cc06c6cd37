import type { ByteSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";
import { elfPhysicalMemory, isElf, readElfCore } from "./elf-core.ts";
import { FlattenedDump, isFlattened } from "./flattened.ts";
import { KdumpCore, type PageCodecs } from "./kdump-core.ts";
import { isKdump } from "./kdump-header.ts";
import type { PhysicalMemory } from "./physical-memory.ts";

const headBytes = 16;

/**
 * The memory in a dump of a machine: an ELF core, or a kdump-compressed one, each as it is or in the flattened format.
 * @param progress told while the records of a flattened dump are indexed, in bytes.
 * @throws InputError when it is none of them, or its headers are damaged.
 */
export function openPhysicalMemory(
  source: ByteSource,
  codecs: PageCodecs,
  progress?: (done: bigint, total: bigint) => void,
): PhysicalMemory {
  if (!isFlattened(headOf(source))) return openPlain(source, codecs);
  const dump = new FlattenedDump(source, progress);
  try {
    const memory = openPlain(dump, codecs);
    return dump.incomplete === undefined ? memory : withGaps(memory, dump.incomplete);
  } catch (error) {
    if (dump.incomplete === undefined || !(error instanceof InputError)) throw error;
    throw new InputError(`${source.name}: ${dump.incomplete}`);
  }
}

function openPlain(source: ByteSource, codecs: PageCodecs): PhysicalMemory {
  const head = headOf(source);
  if (isElf(head)) return elfPhysicalMemory(readElfCore(source));
  if (isKdump(head)) return new KdumpCore(source, codecs);
  throw new InputError(`${source.name}: expected an ELF core or a kdump-compressed dump`);
}

function withGaps(memory: PhysicalMemory, incomplete: string): PhysicalMemory {
  const { name, ranges, vmcoreinfo } = memory;
  return {
    name,
    ranges,
    incomplete,
    ...(vmcoreinfo === undefined ? {} : { vmcoreinfo }),
    read: (address, length) => memory.read(address, length),
  };
}

function headOf(source: ByteSource): Uint8Array {
  return source.read(0, Math.min(source.size, headBytes));
}
