import { cite } from "../cite.ts";
import { bits, layout } from "../layout.ts";

export const virtioVendor = 0x1af4;

/** Device id of a block device that has the modern interface only. */
export const virtioBlkDevice = 0x1042;

/** Which structure a capability points at. */
export const virtioStructure = { common: 1, notify: 2, isr: 3, device: 4, pci: 5 } as const;

/** `struct virtio_pci_cap`: where in a BAR one of the structures lies. */
export const virtioCapability = layout({
  name: "virtio-pci-capability",
  title: "Virtio PCI capability",
  width: 128,
  section: cite("virtio", "4.1.4"),
  fields: {
    id: bits(7, 0, "Capability ID", { values: { 9: "vendor-specific" } }),
    next: bits(15, 8, "Next capability"),
    length: bits(23, 16, "Bytes of the capability"),
    type: bits(31, 24, "Structure", {
      values: { 1: "common", 2: "notify", 3: "ISR", 4: "device", 5: "PCI access" },
    }),
    bar: bits(39, 32, "BAR"),
    ident: bits(47, 40, "Which of several of its type"),
    offset: bits(95, 64, "Offset in the BAR"),
    bytes: bits(127, 96, "Bytes of the structure"),
  },
});

/** The dword that follows a capability of type notify: queue n's address is its notify offset times this. */
export const notifyMultiplierOffset = 16;

/** Offsets in the common configuration structure, all little-endian. */
export const commonConfig = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configVector: 0x10,
  queues: 0x12,
  status: 0x14,
  generation: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueVector: 0x1a,
  queueEnable: 0x1c,
  queueNotifyOffset: 0x1e,
  queueDescriptors: 0x20,
  queueAvailable: 0x28,
  queueUsed: 0x30,
} as const;

/** What a vector register holds when no vector is mapped, or mapping failed. */
export const noVector = 0xffff;

/** Bits of the device status. */
export const virtioStatus = {
  acknowledge: 1,
  driver: 2,
  driverOk: 4,
  featuresOk: 8,
  needsReset: 64,
  failed: 128,
} as const;

/** Numbers of feature bits. */
export const virtioFeature = { blkFlush: 9, indirect: 28, version1: 32 } as const;
