import { execFileSync, spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { run } from "../program.ts";
import { readHost } from "../sources/host.ts";
import { testIo } from "../testing/test-io.ts";

const folder = mkdtempSync(join(tmpdir(), "intremap-collect-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function script(): Promise<string> {
  const io = testIo();
  expect(await run(["collect"], io)).toBe(0);
  return io.out();
}

const config = new Uint8Array(64);
config.set([0xf4, 0x1a, 0x41, 0x10]);

/** A machine with one function behind one unit. */
function fakeRoot(): string {
  const root = join(folder, "root of a host");
  const put = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  const device = "sys/devices/pci0000:00/0000:00:03.0";
  put(
    "proc/interrupts",
    "           CPU0       CPU1\n 27:  4  2  IR-PCI-MSIX-0000:00:03.0  0-edge      eth0\n",
  );
  put("proc/cmdline", "intel_iommu=on\n");
  put("proc/version", "Linux version 6.12.0-fake\n");
  put("proc/sys/kernel/osrelease", "6.12.0-fake\n");
  put("proc/irq/27/smp_affinity_list", "0-1\n");
  put("proc/irq/27/effective_affinity_list", "1\n");
  put("sys/kernel/irq/27/chip_name", "IR-PCI-MSIX-0000:00:03.0\n");
  put(`${device}/config`, config);
  put(`${device}/class`, "0x020000\n");
  put(`${device}/msi_irqs/27`, "msix\n");
  put("sys/devices/virtual/iommu/dmar0/intel-iommu/address", "fed90000\n");
  put("sys/kernel/debug/iommu/intel/ir_translation_struct", "Interrupt Remapping is not enabled\n");
  const link = (target: string, path: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(target, join(root, path));
  };
  link("../../../devices/pci0000:00/0000:00:03.0", "sys/bus/pci/devices/0000:00:03.0");
  link("../../virtual/iommu/dmar0", `${device}/iommu`);
  link("../../../bus/pci/drivers/virtio-pci", `${device}/driver`);
  link("../../devices/virtual/iommu/dmar0", "sys/class/iommu/dmar0");
  return root;
}

const root = fakeRoot();
const shells = [["dash"], ["busybox", "sh"], ["sh"]].filter(
  ([shell]) => spawnSync(shell!, ["-c", "true"]).error === undefined,
);

describe.each(shells)("run by %s %s", (...shell) => {
  const call = async (
    args: readonly string[],
    name: string,
  ): Promise<{ status: number | null; err: string; temp: string }> => {
    const temp = join(folder, name);
    mkdirSync(temp);
    const words = [...shell.filter((word) => word !== undefined), "-s", "--", ...args];
    const { status, stderr } = spawnSync(words[0]!, words.slice(1), {
      input: await script(),
      encoding: "utf8",
      cwd: folder,
      env: { PATH: process.env["PATH"], TMPDIR: temp },
    });
    return { status, err: stderr, temp };
  };
  const tag = shell.filter((word) => word !== undefined).join("-");

  test("the script packs what readHost reads, and leaves nothing behind", async () => {
    const out = join(folder, `${tag}.tar.gz`);
    const { status, err, temp } = await call(["-r", root, "-o", out], `${tag}-temp`);
    expect(err).toContain(`wrote ${out}`);
    expect(err).toContain("dmesg: below -r is another kernel");
    expect({ status, left: readdirSync(temp) }).toEqual({ status: 0, left: [] });
    const state = await readHost(out, testIo());
    expect(state.system.release?.value).toBe("6.12.0-fake");
    expect(state.interrupts).toMatchObject([
      { irq: 27, actions: { value: ["eth0"] }, effective: { value: [1] }, counts: { value: [4, 2] } },
    ]);
    expect(state.devices).toMatchObject([
      {
        requester: 0x18,
        driver: { value: "virtio-pci" },
        unit: { value: "dmar0" },
        classCode: { value: 0x020000 },
      },
    ]);
    expect(state.units).toMatchObject([{ name: "dmar0", registerBase: { value: 0xfed90000n } }]);
    const names = execFileSync("tar", ["--list", "--gzip", "--file", out], { encoding: "utf8" });
    expect(names).toContain("/sys/kernel/debug/iommu/intel/ir_translation_struct\n");
  });

  test("a file that is there already is not overwritten", async () => {
    const out = join(folder, `${tag}-old`);
    writeFileSync(out, "old");
    const { status, err } = await call(["-r", root, "-o", out], `${tag}-temp-2`);
    expect(err).toContain("there already");
    expect({ status, now: readFileSync(out, "utf8") }).toEqual({ status: 2, now: "old" });
  });
});
