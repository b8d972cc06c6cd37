import { cite } from "../cite.ts";
import { type Layout, bit, bits, layout, scattered } from "../layout.ts";

/** Invalidation descriptor types (VT-d 5.10 §6.5.2): descriptor bits 11:9 and 3:0 together. */
export const descriptorTypes = {
  contextCache: 1,
  iotlb: 2,
  deviceTlb: 3,
  interruptEntryCache: 4,
  wait: 5,
  pasidIotlb: 6,
  pasidCache: 7,
  pasidDeviceTlb: 8,
  pageGroupResponse: 9,
} as const;

const reserved = "vtd.qi.reserved";
const type = scattered(
  [
    [3, 0],
    [11, 9],
  ],
  "Type",
  {
    values: {
      1: "context-cache invalidate",
      2: "IOTLB invalidate",
      3: "device-TLB invalidate",
      4: "interrupt-entry-cache invalidate",
      5: "invalidation wait",
      6: "PASID-based IOTLB invalidate",
      7: "PASID-cache invalidate",
      8: "PASID-based device-TLB invalidate",
      9: "page group response",
    },
  },
);

/** What every descriptor begins with. */
export const descriptorHeader = layout({
  name: "vtd-descriptor-header",
  title: "Invalidation descriptor header",
  width: 128,
  section: cite("vtd", "6.5.2"),
  fields: { type },
});

export const contextCacheInvalidate = layout({
  name: "vtd-context-cache-invalidate",
  title: "Context-cache Invalidate Descriptor",
  width: 128,
  section: cite("vtd", "6.5.2.1"),
  reserved,
  fields: {
    type,
    g: bits(5, 4, "Granularity", { values: { 1: "global", 2: "domain", 3: "device" } }),
    did: bits(31, 16, "Domain-ID"),
    sid: bits(47, 32, "Source-ID"),
    fm: bits(49, 48, "Function Mask"),
  },
});

export const iotlbInvalidate = layout({
  name: "vtd-iotlb-invalidate",
  title: "IOTLB Invalidate Descriptor",
  width: 128,
  section: cite("vtd", "6.5.2.3"),
  reserved,
  fields: {
    type,
    g: bits(5, 4, "Granularity", { values: { 1: "global", 2: "domain", 3: "page" } }),
    dw: bit(6, "Drain Writes"),
    dr: bit(7, "Drain Reads"),
    did: bits(31, 16, "Domain-ID"),
    am: bits(69, 64, "Address Mask"),
    ih: bit(70, "Invalidation Hint"),
    addr: bits(127, 76, "Address", { scale: 12 }),
  },
});

export const interruptEntryCacheInvalidate = layout({
  name: "vtd-iec-invalidate",
  title: "Interrupt Entry Cache Invalidate Descriptor",
  width: 128,
  section: cite("vtd", "6.5.2.7"),
  reserved,
  fields: {
    type,
    g: bit(4, "Granularity", { values: { 0: "global", 1: "index-selective" } }),
    im: bits(31, 27, "Index Mask"),
    iidx: bits(47, 32, "Interrupt Index"),
  },
});

export const invalidationWait = layout({
  name: "vtd-wait",
  title: "Invalidation Wait Descriptor",
  width: 128,
  section: cite("vtd", "6.5.2.8"),
  reserved,
  fields: {
    type,
    if: bit(4, "Interrupt Flag"),
    sw: bit(5, "Status Write"),
    fn: bit(6, "Fence"),
    pd: bit(7, "Page-request Drain"),
    statusdata: bits(63, 32, "Status Data"),
    statusaddress: bits(127, 66, "Status Address", { scale: 2 }),
  },
});

/** The descriptors that the model executes, by type. */
export const descriptorLayouts: Readonly<Record<number, Layout>> = {
  [descriptorTypes.contextCache]: contextCacheInvalidate,
  [descriptorTypes.iotlb]: iotlbInvalidate,
  [descriptorTypes.interruptEntryCache]: interruptEntryCacheInvalidate,
  [descriptorTypes.wait]: invalidationWait,
};

/** Their 256-bit forms: the same fields, and an upper half that is reserved. */
export const wideDescriptorLayouts: Readonly<Record<number, Layout>> = Object.fromEntries(
  Object.entries(descriptorLayouts).map(([type, narrow]) => [type, widened(narrow)]),
);

function widened(narrow: Layout): Layout {
  return layout({ ...narrow, name: `${narrow.name}-256`, title: `${narrow.title}, 256 bits`, width: 256 });
}
