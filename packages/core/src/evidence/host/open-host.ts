import { readTar, type TarLimits } from "../archive/tar.ts";
import { isWanted, rootNames } from "../archive/wanted-path.ts";
import { withExpanded } from "../archive/with-expanded.ts";
import type { ByteSource } from "../byte-source.ts";
import { type Chunks, letGo, peek, readChunks, textLimit } from "../input/chunks.ts";
import { decodeText } from "../input/decode-text.ts";
import { type Expanders, compressionOf, expanded, longestMagic } from "../input/expand.ts";
import { type InputKind, kindBytes, kindOf } from "../input/input-kind.ts";
import { SparseBytes, type SparseLimits } from "../input/sparse-bytes.ts";
import { InputError, withName } from "../input-error.ts";
import type { PageCodecs } from "../kernel/kdump-core.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { openCoreKernel } from "../kernel/open-kernel.ts";
import { openPhysicalMemory } from "../kernel/open-physical.ts";
import type { PhysicalMemory } from "../kernel/physical-memory.ts";
import { HostDraft } from "./draft.ts";
import type { HostFiles } from "./files.ts";
import { readHostFiles } from "./read-files.ts";
import { readPastedHost } from "./read-pasted.ts";
import { settleHost } from "./settle.ts";
import type { HostState } from "./state.ts";
import { TraceHost } from "./trace-host.ts";
import { walkInto } from "./walk-into.ts";

/** Takes how far it is; asked often, it need not look at every text. */
export type Progress = (text: () => string) => void;

/** What a command or a page brings along to open a host. */
export interface HostPlatform {
  readonly expanders: Expanders;
  readonly codecs: PageCodecs;
  readonly progress: Progress;
  /** Does work that takes seconds and leaves nobody else room. */
  readonly busy?: <Result>(work: () => Result) => Result;
  /** What can be read, for messages. */
  readonly accepted?: string;
  /** The most that is held in memory of a compressed dump, and of an archive. */
  readonly sparse?: SparseLimits;
  readonly archive?: TarLimits;
}

/** A file, whose kind its content tells. */
export interface HostFile {
  /** What to call it in messages. */
  readonly name: string;
  /** Its bytes from the beginning; asked for once. */
  readonly chunks: () => Chunks;
  /** The same by position, where that can be had; it is closed at the end. */
  readonly open?: () => (ByteSource & { close(): void }) | undefined;
}

/** What {@link openHost} and {@link openHostFiles} read. */
export const hostSources: string =
  "a folder, a tar archive, a dump of a kernel (ELF or kdump-compressed), a QEMU trace log, or pasted text";

/**
 * Reads the picture of a host out of a file: an archive, a dump, a trace or text, each compressed or not.
 * @param source what the picture says that it is of.
 * @throws InputError when it cannot be read, or says nothing of a host.
 */
export async function openHost(file: HostFile, source: string, platform: HostPlatform): Promise<HostState> {
  const { name } = file;
  const draft = new HostDraft(source);
  const { head, rest } = await peek(expanded(file.chunks(), name, platform.expanders), kindBytes);
  try {
    if (compressionOf(head) !== undefined) throw new InputError("compressed twice: expand it once");
    await readers[kindOf(head)](rest, { file, name, draft, platform });
  } catch (error) {
    throw withName(error, name);
  } finally {
    await letGo(rest);
  }
  return finishHost(draft, name, platform.accepted);
}

/**
 * Reads the picture of a host out of a folder.
 * @throws InputError when nothing in it says anything of a host.
 */
export async function openHostFiles(
  files: HostFiles,
  source: string,
  platform: HostPlatform,
): Promise<HostState> {
  const draft = new HostDraft(source);
  readHostFiles(await withExpanded(files, platform.expanders), draft);
  return finishHost(draft, files.name, platform.accepted);
}

/** @throws InputError when nothing was read that describes a host. */
export function finishHost(draft: HostDraft, name: string, accepted: string = hostSources): HostState {
  const host = draft.finish();
  const { system, processors, devices, firmware, units, interrupts, machines, descriptors, log } = host;
  const lists = [processors, devices, units, interrupts, machines, descriptors, Object.keys(firmware)];
  const facts = [system.vendor, system.release, system.commandLine, system.flags, log];
  if (facts.every((fact) => fact === undefined) && lists.every((list) => list.length === 0)) {
    const first = host.missing[0];
    const why = first === undefined ? "" : ` (${first.what}: ${first.why})`;
    throw new InputError(`${name}: nothing of a host in it${why}: expected ${accepted}`);
  }
  return host;
}

interface Reading {
  readonly file: HostFile;
  readonly name: string;
  readonly draft: HostDraft;
  readonly platform: HostPlatform;
}

const readers: Readonly<Record<InputKind, (chunks: Chunks, reading: Reading) => Promise<void>>> = {
  memory: readDump,
  archive: readArchive,
  trace: readTraceLog,
  text: readText,
  unknown: async (_, { platform: { accepted = hostSources } }) => {
    throw new InputError(`expected ${accepted}`);
  },
};

async function readDump(chunks: Chunks, reading: Reading): Promise<void> {
  const { name, platform } = reading;
  const { progress, busy = (work) => work() } = platform;
  const file = reading.file.open?.();
  try {
    if (file !== undefined && !isCompressed(file)) {
      await letGo(chunks);
      busy(() => walkDump(file, reading));
      return;
    }
  } finally {
    file?.close();
  }
  const told = ({ size }: SparseBytes): void => {
    progress(() => `${name}: ${count(Math.floor(size / 2 ** 20))} MiB expanded`);
  };
  const bytes = await SparseBytes.from(chunks, name, told, platform.sparse);
  busy(() => walkDump(bytes, reading));
}

function isCompressed(bytes: ByteSource): boolean {
  return compressionOf(bytes.read(0, Math.min(bytes.size, longestMagic))) !== undefined;
}

function walkDump(bytes: ByteSource, { name, draft, platform }: Reading): void {
  const told = (what: string) => (done: bigint, total: bigint) => {
    platform.progress(() => `${name}: ${what}, ${total === 0n ? 100n : (100n * done) / total} %`);
  };
  const memory = openPhysicalMemory(bytes, platform.codecs, told("finding its pages"));
  if (memory.incomplete !== undefined) {
    draft.missing.push({
      what: "memory that the dump left out",
      why: memory.incomplete,
      needs: "a dump that was written to its end",
    });
  }
  walkInto(kernelOf(memory, told("looking for the kernel")), draft, platform.progress);
  settleHost(draft);
}

function kernelOf(memory: PhysicalMemory, progress: (done: bigint, total: bigint) => void): Kernel {
  try {
    return openCoreKernel(memory, { progress });
  } catch (error) {
    if (memory.incomplete === undefined || !(error instanceof InputError)) throw error;
    throw new InputError(`${error.message}; the dump is incomplete: ${memory.incomplete}`);
  }
}

async function readArchive(chunks: Chunks, { name, draft, platform }: Reading): Promise<void> {
  let entries = 0;
  let bytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      yield chunk;
      bytes += chunk.length;
      platform.progress(
        () => `${name}: ${count(entries)} entries, ${count(Math.floor(bytes / 2 ** 20))} MiB`,
      );
    }
  }
  const files = await readTar(counted(), name, rootNames, {
    wanted: isWanted,
    progress: (read) => (entries = read),
    ...(platform.archive === undefined ? {} : { limits: platform.archive }),
  });
  readHostFiles(await withExpanded(files, platform.expanders), draft);
}

async function readTraceLog(chunks: Chunks, { draft, platform }: Reading): Promise<void> {
  const reader = new TraceHost();
  for await (const chunk of chunks) {
    reader.feed(chunk);
    platform.progress(() => `${count(reader.lines)} lines`);
  }
  reader.finish(draft);
}

async function readText(chunks: Chunks, { name, draft }: Reading): Promise<void> {
  readPastedHost(decodeText(await readChunks(chunks, name, textLimit)), draft, name);
}

function count(number: number): string {
  return number.toLocaleString("en");
}
