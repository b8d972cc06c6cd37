import { describe, expect, test } from "vitest";
import * as command from "../../spec/accessors/pci-command-status.ts";
import { configOffset } from "../../spec/pci/config-header.ts";
import { errno } from "../errno.ts";
import { Eventfd } from "../eventfd.ts";
import { type Release } from "../kernel.ts";
import { pciAllocIrqVectors, pciFreeIrqVectors } from "../pci/msi.ts";
import { stacksAt } from "../testbed.ts";
import { close, ioctl } from "../syscall.ts";
import { settle } from "../testbed.ts";
import { vfioOpenDevice } from "./file.ts";
import { eventfds, leftovers, nothingLeft, opened, passthrough, setMsix } from "./testbed.ts";

const newIoctl =
  "vfio_pci_core_ioctl vfio_device_fops_unl_ioctl __x64_sys_ioctl do_syscall_64 entry_SYSCALL_64_after_hwframe";
const oldIoctl =
  "vfio_pci_ioctl do_vfs_ioctl ksys_ioctl __x64_sys_ioctl do_syscall_64 entry_SYSCALL_64_after_hwframe";

describe("the call stacks of VFIO_DEVICE_SET_IRQS", () => {
  test("of 6.12, which enables MSI-X with 7 vectors, are those of a real one", () => {
    const { k, device } = passthrough(7, { release: "6.12" });
    const file = opened(k, device);
    const stacks = stacksAt(k, "intel_ir_compose_msi_msg", () =>
      setMsix(k, file, 0, eventfds(7).fill(null as never)),
    );
    expect(stacks).toEqual([
      {
        frames: `intel_ir_compose_msi_msg irq_chip_compose_msi_msg msi_domain_activate __irq_domain_activate_irq irq_domain_activate_irq __msi_domain_alloc_irqs msi_domain_alloc_irqs_all_locked __pci_enable_msix_range pci_alloc_irq_vectors_affinity vfio_pci_set_msi_trigger ${newIoctl}`,
        count: 7,
      },
    ]);
  });

  test("of 5.4 on AMD, which requests 3 interrupts, are those of a real one", () => {
    const { k, device } = passthrough(3, { release: "5.4", vendor: "amd" });
    const file = opened(k, device);
    const stacks = stacksAt(k, "modify_irte_ga", () => setMsix(k, file, 0, eventfds(3)));
    expect(stacks).toContainEqual({
      frames: `modify_irte_ga irq_remapping_activate __irq_domain_activate_irq __irq_domain_activate_irq irq_domain_activate_irq __setup_irq request_threaded_irq vfio_msi_set_vector_signal vfio_msi_set_block vfio_pci_set_msi_trigger ${oldIoctl}`,
      // Each entry is written twice: valid, then with its vector.
      count: 6,
    });
  });

  test.each<[Release, string]>([
    ["7.0", newIoctl],
    ["6.12", newIoctl],
    ["5.4", oldIoctl],
  ])("of %s have no vfio_pci_set_msi_trigger once the interrupts are enabled", (release, outer) => {
    const { k, device } = passthrough(4, { release });
    const file = opened(k, device);
    expect(setMsix(k, file, 0, [null, null, null, null])).toBe(0);
    const stacks = stacksAt(k, "irq_bypass_register_producer", () => setMsix(k, file, 0, eventfds(4)));
    expect(stacks).toEqual([
      {
        frames: `irq_bypass_register_producer vfio_msi_set_vector_signal vfio_msi_set_block ${outer}`,
        count: 4,
      },
    ]);
  });

  test("of a vector that is added later show where it is allocated", () => {
    const { k, device } = passthrough(4);
    const file = opened(k, device);
    setMsix(k, file, 0, [null]);
    const stacks = stacksAt(k, "pci_msix_alloc_irq_at", () => setMsix(k, file, 2, eventfds(2)));
    expect(stacks).toEqual([
      { frames: `pci_msix_alloc_irq_at vfio_msi_set_vector_signal vfio_msi_set_block ${newIoctl}`, count: 2 },
    ]);
    expect(file.device.vectors.get(3)?.name).toBe("vfio-msix[3](0000:03:00.0)");
  });
});

describe("a device's interrupts", () => {
  test("become signals of the eventfds of their vectors", () => {
    const { k, device, fn, cpus } = passthrough(3);
    const file = opened(k, device);
    const triggers = eventfds(3);
    setMsix(k, file, 0, triggers);
    for (const vector of [0, 2, 2]) {
      fn.signal(vector);
      settle(k, cpus);
    }
    expect(triggers.map(({ count }) => count)).toEqual([1, 0, 2]);
  });

  test("are requested under a name that says vector and device", () => {
    const { k, device } = passthrough(2);
    setMsix(k, opened(k, device), 0, eventfds(2));
    const names = [...k.irqs.descriptors.values()].map(({ action }) => action?.name);
    expect(names.filter((name) => name?.startsWith("vfio"))).toEqual([
      "vfio-msix[0](0000:03:00.0)",
      "vfio-msix[1](0000:03:00.0)",
    ]);
  });

  test("of MSI are one block, whose vectors the function tells apart", () => {
    const { k, plug, cpus } = passthrough(1);
    const { fn, device } = plug(0x0400, { msi: { vectors: 4 } });
    const file = opened(k, device);
    const triggers = eventfds(4);
    const request = { request: "VFIO_DEVICE_SET_IRQS", index: "msi", start: 0, eventfds: triggers };
    expect(ioctl(k, file, request)).toBe(0);
    fn.signal(3);
    settle(k, cpus);
    expect(triggers.map(({ count }) => count)).toEqual([0, 0, 0, 1]);
    expect(file.device.vectors.get(3)?.name).toBe("vfio-msi[3](0000:04:00.0)");
    close(k, file);
    expect(leftovers(k)).toEqual(nothingLeft);
  });

  test("of MSI are refused as a whole when they are not to be had, with how many there are", () => {
    const { k, plug } = passthrough(1, {
      vendor: "none",
      commandLine: "vfio_iommu_type1.allow_unsafe_interrupts=1",
    });
    const { device } = plug(0x0400, { msi: { vectors: 4 } });
    const file = opened(k, device);
    const request = { request: "VFIO_DEVICE_SET_IRQS", index: "msi", start: 0, eventfds: eventfds(4) };
    expect(ioctl(k, file, request)).toBe(1);
    expect(leftovers(k)).toEqual({ ...nothingLeft, devices: 1 });
  });

  test("signal the new eventfd when one takes the other's place", () => {
    const { k, device, fn, cpus } = passthrough(1);
    const file = opened(k, device);
    const [first, second] = eventfds(2) as [Eventfd, Eventfd];
    setMsix(k, file, 0, [first]);
    setMsix(k, file, 0, [second]);
    fn.signal(0);
    settle(k, cpus);
    expect([first.count, second.count]).toEqual([0, 1]);
    expect([...k.irqBypass.producers.keys()]).toEqual([second]);
  });

  test("go on through the host when another producer has the eventfd, which is only logged", () => {
    const { k, device, fn, cpus } = passthrough(2);
    const file = opened(k, device);
    const [shared] = eventfds(1) as [Eventfd];
    expect(setMsix(k, file, 0, [shared, shared])).toBe(0);
    fn.signal(1);
    settle(k, cpus);
    expect(shared.count).toBe(1);
    expect(k.log.lines.at(-1)!.text).toMatch(
      /^vfio-pci 0000:03:00\.0: irq bypass producer \(eventfd [0-9a-f]{16}\) registration fails: -16$/,
    );
    close(k, file);
    expect(leftovers(k)).toEqual(nothingLeft);
  });

  test("are turned off with an empty list, and nothing of them stays", () => {
    const { k, device } = passthrough(3);
    const file = opened(k, device);
    setMsix(k, file, 0, eventfds(3));
    expect(leftovers(k)).toMatchObject({ producers: 3, handlers: 3, interrupts: 3 });
    expect(setMsix(k, file, 0, [])).toBe(0);
    expect(leftovers(k)).toEqual({ ...nothingLeft, devices: 1 });
    expect(setMsix(k, file, 0, [])).toBe(-errno.EINVAL);
  });

  test.each([
    ["more vectors than the table has", 0, 4],
    ["a first vector behind the table", 3, 1],
  ])("are refused for %s", (_name, start, count) => {
    const { k, device } = passthrough(3);
    expect(setMsix(k, opened(k, device), start, eventfds(count))).toBe(-errno.EINVAL);
    expect(leftovers(k)).toEqual({ ...nothingLeft, devices: 1 });
  });

  test("are of one kind at a time", () => {
    const { k, device } = passthrough(3);
    const file = opened(k, device);
    setMsix(k, file, 0, eventfds(1));
    file.device.irqType = "msi";
    expect(setMsix(k, file, 0, eventfds(1))).toBe(-errno.EINVAL);
  });

  test("of 5.4 cannot be added to those that were enabled first", () => {
    const { k, device } = passthrough(3, { release: "5.4" });
    const file = opened(k, device);
    setMsix(k, file, 0, [null]);
    expect(setMsix(k, file, 1, eventfds(1))).toBe(-errno.EINVAL);
    expect(setMsix(k, file, 0, eventfds(1))).toBe(0);
  });

  test("survive that the guest turns memory space off", () => {
    const { k, device, fn, cpus } = passthrough(1);
    const file = opened(k, device);
    const [trigger] = eventfds(1) as [Eventfd];
    fn.writeConfig(configOffset.commandStatus, 2, command.BME_MASK);
    expect(setMsix(k, file, 0, [trigger])).toBe(0);
    expect(command.mse(fn.readConfig(configOffset.commandStatus, 4))).toBe(0);
    fn.signal(0);
    settle(k, cpus);
    expect(trigger.count).toBe(1);
  });
});

test("other requests are not a device's", () => {
  const { k, device } = passthrough(1);
  expect(ioctl(k, opened(k, device), { request: "TCGETS" })).toBe(-errno.ENOTTY);
});

describe("a device is opened", () => {
  const refusal =
    'vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param "allow_unsafe_interrupts" to enable VFIO IOMMU support on this platform';

  test.each<[string, Release, "intel" | "amd" | "none", string, boolean]>([
    ["remapping", "7.0", "intel", "", true],
    ["remapping", "7.0", "amd", "", true],
    ["remapping", "5.4", "intel", "", true],
    ["remapping without source-id checks", "7.0", "intel", "intremap=nosid", true],
    ["remapping off", "7.0", "intel", "intremap=off", false],
    ["remapping off", "5.4", "intel", "intremap=off", false],
    ["no unit", "6.12", "none", "", false],
    [
      "no unit, and unsafe interrupts allowed",
      "7.0",
      "none",
      "vfio_iommu_type1.allow_unsafe_interrupts=1",
      true,
    ],
  ])("with %s (%s, %s %s): %s", (_name, release, vendor, commandLine, allowed) => {
    const { k, device } = passthrough(1, { release, vendor, commandLine });
    const file = vfioOpenDevice(k, device);
    if (allowed) expect(file).toMatchObject({ device: { pci: device } });
    else expect(file).toBe(-errno.EPERM);
    expect(k.log.lines.some(({ text }) => text === refusal)).toBe(!allowed);
  });

  test("by one at a time, while no other driver has it and it is there", () => {
    const { k, device } = passthrough(1);
    pciAllocIrqVectors(k, device, 1, 1, "msix");
    expect(vfioOpenDevice(k, device)).toBe(-errno.EBUSY);
    pciFreeIrqVectors(k, device);
    const file = opened(k, device);
    expect(vfioOpenDevice(k, device)).toBe(-errno.EBUSY);
    close(k, file);
    device.removed = true;
    expect(vfioOpenDevice(k, device)).toBe(-errno.ENODEV);
  });
});

test.each<[Release, string]>([
  [
    "7.0",
    "vfio_msi_disable vfio_pci_set_msi_trigger vfio_pci_core_disable vfio_pci_core_close_device vfio_df_device_last_close vfio_df_close vfio_df_group_close vfio_device_fops_release __fput __x64_sys_close do_syscall_64 entry_SYSCALL_64_after_hwframe",
  ],
  [
    "5.4",
    "vfio_msi_disable vfio_pci_set_msi_trigger vfio_pci_disable vfio_pci_release vfio_device_fops_release __fput task_work_run exit_to_usermode_loop do_syscall_64 entry_SYSCALL_64_after_hwframe",
  ],
])("closing a device of %s takes its interrupts apart, and keeps it from memory", (release, frames) => {
  const { k, device, fn } = passthrough(4, { release });
  const file = opened(k, device);
  setMsix(k, file, 0, eventfds(4));
  expect(stacksAt(k, "vfio_msi_disable", () => close(k, file))).toEqual([{ frames, count: 1 }]);
  expect(leftovers(k)).toEqual(nothingLeft);
  expect(fn.canMaster).toBe(false);
});
