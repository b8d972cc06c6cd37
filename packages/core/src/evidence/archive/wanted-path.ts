/** Folders of a machine's root, of a sosreport and of a captured machine that a reader looks into. */
const folders = ["proc", "sys", "sos_commands", "acpi", "pci", "iommu", "irq", "sysirq", "debug"];
/** Files elsewhere. */
const others = /^(?:var\/log\/(?:dmesg|kern)[^/]*|boot\/config-[^/]*|[^/]*)$/;
/** What these folders hold besides: large, and of no use. */
const unwanted = new RegExp(
  [
    "proc/(?:\\d+|self|thread-self|net|sys/(?!kernel/)|kcore|kmsg|fs|scsi|tty)/",
    "proc/(?:kcore|kmsg|kpage\\w+|vmcore)$",
    "sys/(?:fs|kernel/(?:slab|tracing|debug/tracing|cgroup|mm)|devices/virtual/(?:tty|block|net|workqueue)|dev)/",
    "sos_commands/(?:logs|systemd|networking|networkmanager|filesys|block|lvm2|selinux|crypto|dnf|yum|rpm|dpkg|apt)/",
  ]
    .map((pattern) => `^${pattern}`)
    .join("|"),
);

/** What lies at the root of a machine, a sosreport or a captured machine. */
export const rootNames: ReadonlySet<string> = new Set([...folders, "boot", "etc", "var", "run", "usr"]);

/** Whether a reader may want a file of an archive; it may lie in one folder around everything. */
export function isWanted(path: string): boolean {
  return wantedAt(path) || wantedAt(path.slice(path.indexOf("/") + 1));
}

function wantedAt(path: string): boolean {
  const top = path.split("/", 1)[0]!;
  return folders.includes(top) ? !unwanted.test(path) : others.test(path);
}
