import {
  type HostDraft,
  InputError,
  type Progress,
  openLiveKernel,
  orMissing,
  readHostFiles,
  walkInto,
} from "@intremap/core";
import { FileBytes } from "./file-bytes.ts";
import { HostFolder } from "./host-folder.ts";

const tables = "the kernel's own tables";
const symbolBytes = 256 * 2 ** 20;
/** Bytes of the symbols that show whether their addresses are shown. */
const symbolHead = 1 << 16;

/**
 * Reads the machine that this runs on: the kernel's memory as far as this process may read it, then its files.
 * Nothing is written, and device memory is not mapped.
 */
export function readLive(draft: HostDraft, progress: Progress, platform: string = process.platform): void {
  if (platform !== "linux") {
    throw new InputError(
      `live: only Linux shows what is read (this is ${platform}): give a folder, an archive, a dump or text with --from`,
    );
  }
  const files = new HostFolder("/", "live", false);
  readKernelMemory(files, draft, progress);
  readHostFiles(files, draft);
}

function readKernelMemory(files: HostFolder, draft: HostDraft, progress: Progress): void {
  progress(() => "reading the kernel's tables");
  const obstacle = lockdownOf(files);
  if (obstacle !== undefined) {
    draft.missing.push({ what: tables, ...obstacle });
    return;
  }
  orMissing(
    draft,
    tables,
    () => {
      const kcore = new FileBytes("/proc/kcore", "proc/kcore");
      try {
        const release = files.read("proc/sys/kernel/osrelease");
        const kernel = openLiveKernel({
          kcore,
          kallsyms: () => symbolsOf(files),
          btf: () => files.read("sys/kernel/btf/vmlinux"),
          moduleBtf: (module) => files.read(`sys/kernel/btf/${module}`),
          ...(release === undefined ? {} : { release: new TextDecoder().decode(release).trim() }),
        });
        walkInto(kernel, draft, progress);
      } finally {
        kcore.close();
      }
    },
    "root with CAP_SYS_RAWIO and CAP_SYSLOG, on a kernel with CONFIG_PROC_KCORE and CONFIG_DEBUG_INFO_BTF",
  );
}

function lockdownOf(files: HostFolder): { why: string; needs: string } | undefined {
  const lockdown = orNothing(() => files.read("sys/kernel/security/lockdown"));
  if (lockdown === undefined || !new TextDecoder().decode(lockdown).includes("[confidentiality]"))
    return undefined;
  return {
    why: "the kernel is locked down (confidentiality)",
    needs: "a boot without lockdown, or a dump of the kernel",
  };
}

/** @throws InputError when they are not shown to this process: then every address is 0. */
function symbolsOf(files: HostFolder): Uint8Array | undefined {
  const symbols = files.read("proc/kallsyms", symbolBytes);
  if (symbols === undefined) return undefined;
  if (!/^0*[1-9a-f]/m.test(new TextDecoder().decode(symbols.subarray(0, symbolHead)))) {
    throw new InputError("proc/kallsyms: every address is 0 (kernel.kptr_restrict, or no CAP_SYSLOG)");
  }
  return symbols;
}

function orNothing<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}
