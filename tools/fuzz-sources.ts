import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import {
  type HostFiles,
  HostDraft,
  InputError,
  TraceHost,
  audit,
  bytesSource,
  mapOf,
  openCoreKernel,
  openPhysicalMemory,
  readDmar,
  readHostFiles,
  readIvrs,
  readPastedHost,
  readTar,
  rootNames,
  settleHost,
  walkKernel,
  walkKernelLog,
  walkKvm,
} from "@intremap/core";
import { Random } from "../packages/core/src/analysis/conform/random.ts";
import { expandLzo } from "../packages/core/src/evidence/compression/lzo.ts";
import { expandSnappy } from "../packages/core/src/evidence/compression/snappy.ts";
import { readStoredPages } from "../packages/core/src/evidence/kernel/testing/stored-pages.ts";
import { readMadt } from "../packages/core/src/evidence/madt.ts";
import { chunksOf, expanded } from "../packages/cli/src/sources/expand.ts";
import { pageCodecs } from "../packages/cli/src/sources/page-codecs.ts";
import { testIo } from "../packages/cli/src/testing/test-io.ts";

/** A reader under test: inputs that it knows, and what is done with one that has been damaged. */
interface Target {
  readonly name: string;
  /** Of a thousand inputs, how many are its. */
  readonly share: number;
  readonly seeds: readonly Uint8Array[];
  readonly read: (bytes: Uint8Array) => void | Promise<void>;
}

/** An input that a reader did not end with a result or one line. */
export interface Crash {
  readonly target: string;
  readonly ordinal: number;
  readonly error: string;
}

/** Longer than any reader takes on a busy machine, in milliseconds. */
const patience = 20_000;

const telling = [0, 1, 0x7f, 0x80, 0xff, 0x20, 0x2d, 0x3a, 0x0a];

/** A copy with one to eight damages: bytes changed, a piece cut out, doubled or moved, the end cut off. */
function damaged(seed: Uint8Array, below: (limit: number) => number): Uint8Array {
  let bytes = Buffer.from(seed);
  for (let times = 1 + below(8); times > 0 && bytes.length > 0; times--) {
    const at = below(bytes.length);
    const length = 1 + below(Math.min(64, bytes.length - at));
    switch (below(7)) {
      case 0:
        bytes[at]! ^= 1 << below(8);
        break;
      case 1:
        bytes[at] = telling[below(telling.length)]!;
        break;
      case 2:
        bytes.fill(below(2) === 0 ? 0xff : 0, at, at + Math.min(length, 8));
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at)]);
        break;
      case 5:
        bytes.copy(bytes, below(bytes.length), at, at + length);
        break;
      default:
        if (below(8) === 0) bytes = bytes.subarray(0, at);
    }
  }
  return bytes;
}

function look(fill: (draft: HostDraft) => void): void {
  const draft = new HostDraft("fuzz");
  fill(draft);
  settleHost(draft);
  const state = draft.finish();
  mapOf(state);
  audit(state);
}

async function bundled(name: string): Promise<Buffer> {
  const path = fileURLToPath(new URL(`../captures/${name}`, import.meta.url));
  const chunks: Uint8Array[] = [];
  for await (const chunk of expanded(chunksOf(path, testIo().stdin), path)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function open(bytes: Uint8Array, name: string): Promise<HostFiles> {
  return readTar(only(bytes), name, rootNames, { wanted: () => true });
}

const small = 256 * 1024;

/** Files of a capture that one can damage, those in folders of one kind by a few of them. */
function pathsOf(files: HostFiles, folder = ""): string[] {
  return files.list(folder).flatMap((name) => {
    const path = folder === "" ? name : `${folder}/${name}`;
    if (path.split("/").length > 4) return [];
    const below = pathsOf(files, path);
    if (below.length > 0) return below;
    const content = files.read(path);
    return content !== undefined && content.length < small ? [path] : [];
  });
}

function pieces(whole: readonly Uint8Array[], length: number): Uint8Array[] {
  return whole.flatMap((bytes) =>
    Array.from({ length: Math.ceil(bytes.length / length) }, (_, i) =>
      bytes.subarray(i * length, (i + 1) * length),
    ),
  );
}

const fixtures = new URL("../packages/core/src/evidence/fixtures/", import.meta.url);

function fixture(name: string): Buffer {
  return readFileSync(new URL(name, fixtures));
}

/** What debugfs and lspci print, as fixtures have it. */
function printed(): Uint8Array[] {
  const names = readdirSync(fixtures).filter((name) => name.includes("debugfs"));
  return [...pieces(names.map(fixture), 2048), Buffer.from(lspci)];
}

const lspci = `01:00.0 Non-Volatile memory controller: Example NVMe (rev 02) (prog-if 02 [NVM Express])
\tInterrupt: pin A routed to IRQ 22
\tCapabilities: [50] MSI: Enable+ Count=2/8 Maskable+ 64bit+
\t\tAddress: 00000000fee003d8  Data: 0000
\t\tMasking: 00000000  Pending: 00000000
\tCapabilities: [b0] MSI-X: Enable+ Count=65 Masked-
\t\tVector table: BAR=0 offset=00003000
\tKernel driver in use: nvme
`;

/** All of a dump's memory, and its kernel when it has one. */
function openDump(bytes: Uint8Array): void {
  const memory = openPhysicalMemory(bytesSource(bytes, "dump"), pageCodecs);
  for (const { start, end } of memory.ranges.slice(0, 4)) {
    for (let at = start; at < end && at < start + 0x4_0000n; at += 4096n)
      readable(() => memory.read(at, 4096));
  }
  openCoreKernel(memory);
}

function readable(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
}

async function targets(below: (limit: number) => number): Promise<Target[]> {
  const archives = await Promise.all(["intel61-q72", "amd61-q72"].map((name) => bundled(`${name}.tar.xz`)));
  const hosts = await Promise.all(archives.map((archive) => open(archive, "capture")));
  const paths = hosts.map((files) => pathsOf(files));
  const read = (path: string): Uint8Array[] =>
    hosts.flatMap((files) => {
      const content = files.read(path);
      return content === undefined ? [] : [content];
    });
  const text = ["interrupts", "dmesg.txt", "cpuinfo"].flatMap((path) => read(path));
  const core = await bundled("intel61-hold.core.xz");
  const traces = await Promise.all(
    ["intel", "amd"].map((vendor) => bundled(`qemu-7.2-${vendor}-boot.log.xz`)),
  );
  const dumps = ["qemu-10.0-kdump.br", "qemu-10.0-kdump-flattened.br"].map((name) =>
    brotliDecompressSync(fixture(name)),
  );
  const pages = readStoredPages(fixture("makedumpfile-pages.json").toString(), pageCodecs.zlib);
  return [
    { name: "DMAR", share: 130, seeds: read("acpi/DMAR"), read: (bytes) => void readDmar(bytes) },
    { name: "IVRS", share: 130, seeds: read("acpi/IVRS"), read: (bytes) => void readIvrs(bytes) },
    { name: "MADT", share: 130, seeds: read("acpi/APIC"), read: (bytes) => void readMadt(bytes) },
    {
      name: "LZO",
      share: 60,
      seeds: pages.map(({ lzo }) => lzo),
      read: (bytes) => void expandLzo(bytes, 4096),
    },
    {
      name: "snappy",
      share: 60,
      seeds: pages.map(({ snappy }) => snappy),
      read: (bytes) => void expandSnappy(bytes, 4096),
    },
    { name: "kdump", share: 20, seeds: dumps, read: openDump },
    {
      name: "pasted text",
      share: 250,
      seeds: [...pieces(text, 4096), ...printed()],
      read: (bytes) => look((draft) => readPastedHost(new TextDecoder().decode(bytes), draft)),
    },
    {
      name: "files",
      share: 10,
      seeds: [new Uint8Array([1])],
      read: () => {
        const which = below(hosts.length);
        const files = hosts[which]!;
        const path = paths[which]![below(paths[which]!.length)]!;
        const other = damaged(files.read(path)!, below);
        look((draft) =>
          readHostFiles(
            { ...bound(files), read: (one, limit) => (one === path ? other : files.read(one, limit)) },
            draft,
          ),
        );
      },
    },
    {
      name: "archive",
      share: 60,
      seeds: pieces(archives, 64 * 1024).slice(0, 8),
      read: async (bytes) => void (await open(bytes, "archive")),
    },
    {
      name: "trace",
      share: 149,
      seeds: traces.map((trace) => trace.subarray(0, 32 * 1024)),
      read: (bytes) =>
        look((draft) => {
          const trace = new TraceHost();
          trace.feed(bytes);
          trace.finish(draft);
        }),
    },
    {
      name: "core",
      share: 1,
      seeds: [core],
      read: (bytes) =>
        look((draft) => {
          const kernel = openCoreKernel(openPhysicalMemory(bytesSource(bytes, "core"), pageCodecs));
          walkKernel(kernel, draft);
          walkKvm(kernel, draft);
          walkKernelLog(kernel, draft);
        }),
    },
  ];
}

function bound(files: HostFiles): HostFiles {
  return {
    name: files.name,
    read: (path, limit) => files.read(path, limit),
    list: (path) => files.list(path),
    link: (path) => files.link(path),
  };
}

/** Damages what readers know, and reads it. @returns what ended in anything but a result or one line, or took too long. */
export async function fuzz(count: number, seed: number): Promise<Crash[]> {
  const random = new Random(seed, 0);
  const below = (limit: number): number => random.below(limit);
  const all = await targets(below);
  const crashes: Crash[] = [];
  for (let ordinal = 0; ordinal < count; ordinal++) {
    let at = below(1000);
    const target = all.find(({ share }) => (at -= share) < 0)!;
    const bytes = damaged(target.seeds[below(target.seeds.length)]!, below);
    const start = performance.now();
    const crash = (error: string): void => void crashes.push({ target: target.name, ordinal, error });
    try {
      await target.read(bytes);
    } catch (error) {
      if (!(error instanceof InputError)) crash((error as Error).stack ?? String(error));
      else if (error.message.includes("\n")) crash(`more than one line: ${error.message}`);
    }
    const took = performance.now() - start;
    if (took > patience) crash(`took ${Math.round(took)} ms`);
  }
  return crashes;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [count = "50000", seed = "1"] = process.argv.slice(2);
  const crashes = await fuzz(Number(count), Number(seed));
  for (const { target, ordinal, error } of crashes) console.error(`${target}, input ${ordinal}: ${error}`);
  console.log(`${count} inputs, ${crashes.length} crashes`);
  process.exitCode = crashes.length > 0 ? 1 : 0;
}
