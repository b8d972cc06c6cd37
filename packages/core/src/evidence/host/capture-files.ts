import { textOf } from "../text/text-of.ts";
import type { HostFiles } from "./files.ts";

/** Where the raw tables and registers of a capture appear in the tree. */
export const captureFolder = "capture";

const sameName: ReadonlySet<string> = new Set([
  "interrupts",
  "cpuinfo",
  "cmdline",
  "iomem",
  "version",
  "modules",
]);
const textLimit = 1 << 20;

/** Files and folders of a capture, by where they are on the machine. */
const folders: readonly (readonly [string, string])[] = [
  ["sys/bus/pci/devices", "pci"],
  ["sys/firmware/acpi/tables", "acpi"],
  ["sys/class/iommu", "iommu"],
];

/**
 * A capture of the lab (`interrupts`, `pci/`, `irq/`, `sysirq/`, `acpi/`, `iommu/`, `dmesg.txt` …) as the tree of a
 * Linux root, its raw tables below `capture/`; undefined when the files are none.
 */
export function captureFiles(files: HostFiles): HostFiles | undefined {
  const top = files.list("");
  if (!top.includes("interrupts") || !top.includes("pci")) return undefined;
  return new Capture(files);
}

class Capture implements HostFiles {
  readonly name: string;
  readonly #files: HostFiles;

  constructor(files: HostFiles) {
    this.name = files.name;
    this.#files = files;
  }

  read(path: string, limit?: number): Uint8Array | undefined {
    const [folder, rest] = cut(path, 1);
    if (folder === captureFolder) return this.#files.read(rest, limit);
    if (path === "dmesg") return this.#files.read("dmesg.txt", limit);
    if (folder === "proc" && sameName.has(rest)) return this.#files.read(rest, limit);
    const attribute = /^(?:proc\/(irq)|sys\/kernel\/irq)\/(\d+)\/(\w+)$/.exec(path);
    if (attribute !== null) return this.#row(`${attribute[1] ?? "sysirq"}/${attribute[2]}`, attribute[3]!);
    const unit = /^sys\/class\/(iommu\/[^/]+\/(?:intel|amd)-iommu)\/(\w+)$/.exec(path);
    if (unit !== null) return this.#row(unit[1]!, unit[2]!);
    const message = /^sys\/bus\/pci\/devices\/([^/]+\/msi_irqs)\/(\d+)$/.exec(path);
    if (message !== null) return this.#message(`pci/${message[1]}`, message[2]!);
    const place = this.#place(path);
    return place === undefined ? undefined : this.#files.read(place, limit);
  }

  list(path: string): readonly string[] {
    if (path === captureFolder) return this.#files.list("");
    if (path === "proc/irq") return this.#files.list("irq");
    if (path === "sys/kernel/irq") return this.#files.list("sysirq");
    const place = this.#place(path);
    if (place === undefined) return [];
    return place.endsWith("/msi_irqs")
      ? this.#lines(place).map((line) => line.split(" ", 1)[0]!)
      : this.#files.list(place);
  }

  /** A capture has links as files that say where they point. */
  link(path: string): string | undefined {
    const place = this.#place(path);
    if (place === undefined || !/\/(?:driver|iommu|iommu_group|physfn)$/.test(place)) return undefined;
    return this.#lines(place)[0];
  }

  #place(path: string): string | undefined {
    for (const [there, here] of folders) {
      if (path === there) return here;
      if (path.startsWith(`${there}/`)) return here + path.slice(there.length);
    }
    return undefined;
  }

  #lines(path: string): string[] {
    return textOf(this.#files.read(path, textLimit) ?? new Uint8Array())
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
  }

  /** The value of `name: value` in a file that holds what were several. */
  #row(path: string, name: string): Uint8Array | undefined {
    const prefix = `${name}:`;
    const row = this.#lines(path).find((line) => line.startsWith(prefix));
    return row === undefined ? undefined : bytesOf(row.slice(prefix.length).trim());
  }

  #message(path: string, irq: string): Uint8Array | undefined {
    const row = this.#lines(path).find((line) => line.startsWith(`${irq} `));
    return row === undefined ? undefined : bytesOf(row.slice(irq.length + 1));
  }
}

/** The first `parts` parts of a path, and the rest. */
function cut(path: string, parts: number): [string, string] {
  const names = path.split("/");
  return [names.slice(0, parts).join("/"), names.slice(parts).join("/")];
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}
