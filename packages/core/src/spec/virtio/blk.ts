import { cite } from "../cite.ts";
import { bits, layout } from "../layout.ts";

/** Bytes of a sector, whatever the block size of the device. */
export const sectorBytes = 512;

export const blkRequest = { in: 0, out: 1, flush: 4, getId: 8 } as const;

export const blkStatus = { ok: 0, ioError: 1, unsupported: 2 } as const;

/** Bytes of the answer to {@link blkRequest.getId}. */
export const blkIdBytes = 20;

/** What begins a request, before its data and its status byte. */
export const blkRequestHeader = layout({
  name: "virtio-blk-request",
  title: "Virtio block request header",
  width: 128,
  section: cite("virtio", "5.2.6"),
  fields: {
    type: bits(31, 0, "Type", { values: { 0: "IN", 1: "OUT", 4: "FLUSH", 8: "GET_ID" } }),
    sector: bits(127, 64, "First sector"),
  },
});

/** Bytes of {@link blkRequestHeader}. */
export const blkHeaderBytes = 16;

/** The device configuration of a block device, as far as the features that are offered fill it. */
export const blkConfig = layout({
  name: "virtio-blk-config",
  title: "Virtio block device configuration",
  width: 192,
  section: cite("virtio", "5.2.4"),
  fields: {
    capacity: bits(63, 0, "Sectors of 512 bytes"),
    blocksize: bits(191, 160, "Bytes of a block"),
  },
});
