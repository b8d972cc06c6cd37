import { cite } from "../cite.ts";
import { bit, bits, layout } from "../layout.ts";

/** One entry of a split virtqueue's descriptor table. */
export const virtqDescriptor = layout({
  name: "virtq-descriptor",
  title: "Virtqueue descriptor",
  width: 128,
  section: cite("virtio", "2.7.5"),
  fields: {
    address: bits(63, 0, "Guest physical address of the buffer"),
    length: bits(95, 64, "Bytes"),
    next: bit(96, "NEXT: another descriptor follows"),
    write: bit(97, "WRITE: the device writes to the buffer"),
    indirect: bit(98, "INDIRECT: the buffer holds descriptors"),
    link: bits(127, 112, "Index of the descriptor that follows"),
  },
});

/** Head of the available ring, which the driver writes; a 16-bit entry for each descriptor follows. */
export const virtqAvailable = layout({
  name: "virtq-available",
  title: "Available ring header",
  width: 32,
  section: cite("virtio", "2.7.6"),
  fields: {
    nointerrupt: bit(0, "NO_INTERRUPT: the driver does not want to be interrupted"),
    index: bits(31, 16, "Where the driver puts the next entry, modulo the size"),
  },
});

/** Head of the used ring, which the device writes; an element for each descriptor follows. */
export const virtqUsed = layout({
  name: "virtq-used",
  title: "Used ring header",
  width: 32,
  section: cite("virtio", "2.7.8"),
  fields: {
    nonotify: bit(0, "NO_NOTIFY: the device does not want to be notified"),
    index: bits(31, 16, "Where the device puts the next element, modulo the size"),
  },
});

/** One element of the used ring. */
export const virtqUsedElement = layout({
  name: "virtq-used-element",
  title: "Used ring element",
  width: 64,
  section: cite("virtio", "2.7.8"),
  fields: {
    id: bits(31, 0, "Index of the head of the chain that was used"),
    length: bits(63, 32, "Bytes that the device has written"),
  },
});

/** Bytes of the parts of a queue with that many descriptors, without the fields of EVENT_IDX. */
export function ringBytes(size: number): { descriptors: number; available: number; used: number } {
  return { descriptors: 16 * size, available: 4 + 2 * size, used: 4 + 8 * size };
}
