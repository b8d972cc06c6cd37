import { statSync } from "node:fs";
import {
  type ByteSource,
  HostDraft,
  type HostFiles,
  type HostState,
  InputError,
  type Kernel,
  type PhysicalMemory,
  TraceHost,
  openCoreKernel,
  openPhysicalMemory,
  readHostFiles,
  readPastedHost,
  settleHost,
} from "@intremap/core";
import { decodeText, readStream, textLimit } from "../input.ts";
import type { Io } from "../io.ts";
import { count } from "../output.ts";
import { Progress } from "../progress.ts";
import { type Chunks, chunksOf, compressionOf, expanded, longestMagic, nameOf, peek } from "./expand.ts";
import { FileBytes } from "./file-bytes.ts";
import { HostFolder } from "./host-folder.ts";
import { type InputKind, kindBytes, kindOf } from "./input-kind.ts";
import { interruptible } from "./interruptible.ts";
import { readLive } from "./live.ts";
import { pageCodecs } from "./page-codecs.ts";
import { SparseBytes } from "./sparse-bytes.ts";
import { readTar } from "./tar.ts";
import { walkInto } from "./walk.ts";
import { isWanted, rootNames } from "./wanted-path.ts";
import { withExpanded } from "./with-expanded.ts";

/** What can be read, for messages. */
const accepted =
  "live, a folder, a tar archive, a dump of a kernel (ELF or kdump-compressed), a QEMU trace log, or pasted text";

/**
 * Reads the picture of a host from what `--from` names: `live` for the machine itself, a folder, a file whose kind its
 * content tells, or `-` for standard input. Nothing is written anywhere.
 * @throws InputError when it cannot be read, or says nothing of a host.
 */
export async function readHost(from: string, io: Io): Promise<HostState> {
  const progress = new Progress(io.stderr);
  try {
    const draft = new HostDraft(from);
    if (from === "live") interruptible(() => readLive(draft, progress));
    else if (isFolder(from)) {
      readHostFiles(await withExpanded(insideOf(new HostFolder(from))), draft);
    } else await readFile(from, io, draft, progress);
    return finish(draft, nameOf(from));
  } finally {
    progress.clear();
  }
}

/** @throws InputError when nothing was read that describes a host. */
function finish(draft: HostDraft, name: string): HostState {
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

/** Whether this is a file that can be read by position: no pipe, and not compressed. */
function isPlainFile(path: string): boolean {
  if (path === "-" || !statSync(path).isFile()) return false;
  const file = new FileBytes(path);
  try {
    return compressionOf(file.read(0, Math.min(file.size, longestMagic))) === undefined;
  } finally {
    file.close();
  }
}

function isFolder(path: string): boolean {
  return path !== "-" && (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false);
}

/** A sosreport lies in a folder of its own. */
function insideOf(folder: HostFolder): HostFiles {
  const names = folder.list("");
  const only = names.length === 1 ? names[0]! : undefined;
  if (only === undefined || rootNames.has(only) || folder.link(only) !== undefined) return folder;
  return folder.list(only).length === 0 ? folder : new HostFolder(`${folder.name}/${only}`, folder.name);
}

async function readFile(path: string, io: Io, draft: HostDraft, progress: Progress): Promise<void> {
  const name = nameOf(path);
  const source = await peek(expanded(chunksOf(path, io.stdin), name), kindBytes);
  const kind = kindOf(source.head);
  try {
    await readers[kind](source.rest, { path, name, draft, progress });
  } catch (error) {
    if (!(error instanceof InputError) || error.message.startsWith(name)) throw error;
    throw new InputError(`${name}: ${error.message}`);
  } finally {
    await letGo(source.rest);
  }
}

async function letGo(chunks: Chunks): Promise<void> {
  await chunks[Symbol.asyncIterator]().return?.();
}

interface Reading {
  readonly path: string;
  readonly name: string;
  readonly draft: HostDraft;
  readonly progress: Progress;
}

const readers: Readonly<Record<InputKind, (chunks: Chunks, reading: Reading) => Promise<void>>> = {
  memory: readDump,
  archive: readArchive,
  trace: readTraceLog,
  text: readText,
  unknown: async () => {
    throw new InputError(`expected ${accepted}`);
  },
};

async function readDump(chunks: Chunks, reading: Reading): Promise<void> {
  const { path, name, progress } = reading;
  if (!isPlainFile(path)) {
    const bytes = await SparseBytes.from(chunks, name, ({ size }) => {
      progress.show(() => `${name}: ${count(Math.floor(size / 2 ** 20))} MiB expanded`);
    });
    interruptible(() => walkDump(bytes, reading));
    return;
  }
  await letGo(chunks);
  const bytes = new FileBytes(path);
  try {
    interruptible(() => walkDump(bytes, reading));
  } finally {
    bytes.close();
  }
}

function walkDump(bytes: ByteSource, { name, draft, progress }: Reading): void {
  const told = (what: string) => (done: bigint, total: bigint) => {
    progress.show(() => `${name}: ${what}, ${(100n * done) / total} %`);
  };
  const memory = openPhysicalMemory(bytes, pageCodecs, told("finding its pages"));
  if (memory.incomplete !== undefined) {
    draft.missing.push({
      what: "memory that the dump left out",
      why: memory.incomplete,
      needs: "a dump that was written to its end",
    });
  }
  walkInto(kernelOf(memory, told("looking for the kernel")), draft, progress);
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

async function readArchive(chunks: Chunks, { name, draft, progress }: Reading): Promise<void> {
  const files = await readTar(chunks, name, rootNames, {
    wanted: isWanted,
    progress: (entries) => progress.show(() => `${name}: ${count(entries)} entries`),
  });
  readHostFiles(await withExpanded(files), draft);
}

async function readTraceLog(chunks: Chunks, { draft, progress }: Reading): Promise<void> {
  const reader = new TraceHost();
  for await (const chunk of chunks) {
    reader.feed(chunk);
    progress.show(() => `${count(reader.lines)} lines`);
  }
  reader.finish(draft);
}

async function readText(chunks: Chunks, { name, draft }: Reading): Promise<void> {
  readPastedHost(decodeText(await readStream(chunks, name, textLimit)), draft, name);
}
