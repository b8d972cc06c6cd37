export * from "./blk.ts";
export * from "./pci.ts";
export * from "./ring.ts";
