import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { Vendor } from "@intremap/core";
import { Child } from "../../qemu/child.ts";
import { Qmp } from "../../qemu/qmp.ts";
import { cpio } from "./cpio.ts";
import type { KernelPackage } from "./kernel-package.ts";

const MiB = 1024 * 1024;
const outputBytes = 64 * MiB;
const bootPatience = 240_000;
const done = "intremap-guest: done";

/** What each vendor's guest is started with; the AMD ones hang without `iommu=pt` while modules load. */
const machines: Readonly<Record<Vendor, { unit: string; cpu: string; commandLine: string }>> = {
  intel: { unit: "intel-iommu,intremap=on,eim=on", cpu: "max,la57=off", commandLine: "intel_iommu=on" },
  // QEMU 10.0 loses what the IOAPIC sends behind amd-iommu; MSIs arrive.
  amd: { unit: "amd-iommu,intremap=on", cpu: "max,la57=off", commandLine: "iommu=pt no_timer_check" },
};

const virtio = "disable-legacy=on,iommu_platform=on";

/** MSI-X in functions of the root complex and behind a port, MSI in the ports, and one requester behind a conventional bridge. */
const devices = [
  `virtio-blk-pci,drive=disk,${virtio},addr=3`,
  `virtio-blk-pci,drive=output,${virtio},addr=4`,
  "e1000e,addr=5",
  "pcie-root-port,id=port1,addr=6,chassis=1,slot=1",
  "nvme,serial=1,drive=nvme,bus=port1",
  "pcie-root-port,id=port2,addr=7,chassis=2,slot=2",
  "pcie-pci-bridge,id=bridge,bus=port2",
  `virtio-net-pci,bus=bridge,addr=2,${virtio}`,
];

const modules = ["virtio_pci", "virtio_blk", "squashfs", "nvme", "e1000e", "virtio_net"];

/** The first program: loads modules, runs the script on the disk, leaves what it wrote on the second disk, and waits. */
const init = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
exec > /dev/kmsg 2>&1
while read m; do insmod /modules/$m.ko; done < /modules/list
sleep 1
mount -t squashfs -o ro /dev/vda /disk
for i in /sys/class/net/*; do ifconfig \${i##*/} up; done
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=8
cd /out && sh /disk/run.sh
tar cf /dev/vdb .
sync
echo '${done}'
while :; do sleep 1000; done
`;

/** What the first program and the collector call. */
const tools = (
  "sh mount insmod sleep ifconfig tar sync cat chmod cp cut date dd dirname dmesg env find grep gzip head hostname id ln ls mkdir mktemp mv " +
  "od printf pwd readlink realpath rm rmdir sed sort stat tail test timeout touch tr true uname wc xargs"
).split(" ");

function initramfs(kernel: KernelPackage, busybox: string): Buffer {
  const directory = 0o40755;
  const program = 0o100755;
  const link = 0o120777;
  const loaded = new Map(modules.flatMap((name) => kernel.modules(name)).map((one) => [one.name, one]));
  return gzipSync(
    cpio([
      ...["bin", "proc", "sys", "dev", "disk", "out", "tmp", "modules"].map((path) => ({
        path,
        mode: directory,
      })),
      { path: "init", mode: program, content: init },
      { path: "bin/busybox", mode: program, content: readFileSync(busybox) },
      ...tools.map((tool) => ({ path: `bin/${tool}`, mode: link, content: "busybox" })),
      { path: "modules/list", mode: 0o100644, content: `${[...loaded.keys()].join("\n")}\n` },
      ...[...loaded.values()].map(({ name, content }) => ({
        path: `modules/${name}.ko`,
        mode: 0o100644,
        content,
      })),
    ]),
    { level: 1 },
  );
}

/** A stock kernel that runs in QEMU with interrupt remapping and devices with MSI, MSI-X and behind a bridge. */
export class Guest {
  /** Files that its script wrote into its folder /out, by name. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly #child: Child;
  readonly #qmp: Qmp;

  private constructor(child: Child, qmp: Qmp, files: ReadonlyMap<string, Buffer>) {
    this.#child = child;
    this.#qmp = qmp;
    this.files = files;
  }

  /**
   * Boots, and waits until the disk's script has run; the guest then idles.
   * @param folder for its files; its own.
   */
  static async boot(kernel: KernelPackage, vendor: Vendor, disk: string, folder: string): Promise<Guest> {
    mkdirSync(folder, { recursive: true });
    const at = (name: string): string => join(folder, name);
    writeFileSync(at("initramfs"), initramfs(kernel, "/bin/busybox"));
    for (const [name, bytes] of [
      ["output", outputBytes],
      ["nvme", 16 * MiB],
      ["console", 0],
    ] as const) {
      writeFileSync(at(name), "");
      truncateSync(at(name), bytes);
    }
    const { unit, cpu, commandLine } = machines[vendor];
    const args = [
      ["-machine", "q35,kernel-irqchip=split", "-accel", "tcg", "-cpu", cpu, "-smp", "4", "-m", "512"],
      ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      [
        "-serial",
        `file:${at("console")}`,
        "-chardev",
        "socket,id=monitor,fd=3",
        "-mon",
        "chardev=monitor,mode=control",
      ],
      ["-kernel", kernel.image, "-initrd", at("initramfs")],
      ["-append", `console=ttyS0 panic=-1 ${commandLine}`],
      drive("disk", disk, ",readonly=on"),
      drive("output", at("output")),
      drive("nvme", at("nvme")),
      ...[unit, ...devices].map((device) => ["-device", device]),
    ].flat();
    let ended: Error | undefined;
    const name = `${vendor} guest with ${kernel.release}`;
    const child = new Child("qemu-system-x86_64", args, {
      name,
      sockets: 1,
      onEnd: (reason) => (ended = reason),
    });
    const qmp = new Qmp(child.sockets[0]!, { name, patience: 60_000 });
    const deadline = Date.now() + bootPatience;
    for (;;) {
      await wait(200);
      const console = readFileSync(at("console"), "latin1");
      if (console.includes(done)) break;
      if (ended !== undefined || Date.now() > deadline) {
        child.stop();
        throw new Error(
          `${name}: ${ended?.message ?? "is not done"}; its last words:\n${console.slice(-2000)}`,
        );
      }
    }
    return new Guest(child, qmp, unpack(at("output"), at("out")));
  }

  /** What QEMU's monitor prints. */
  async monitor(command: string): Promise<string> {
    const [text] = await this.#qmp.human([command]);
    return text!;
  }

  stop(): void {
    this.#child.stop();
  }
}

function drive(id: string, file: string, more = ""): string[] {
  return ["-drive", `if=none,id=${id},format=raw,file=${file}${more}`];
}

function unpack(archive: string, folder: string): Map<string, Buffer> {
  mkdirSync(folder);
  spawnSync("tar", ["-xf", archive, "-C", folder]);
  const { stdout } = spawnSync("tar", ["-tf", archive], { encoding: "utf8" });
  const names = stdout.split("\n").filter((name) => name !== "" && !name.endsWith("/"));
  return new Map(names.map((name) => [name.replace(/^\.\//, ""), readFileSync(join(folder, name))]));
}
