export * from "./descriptors.ts";
export * from "./faults.ts";
export * from "./irte.ts";
export * from "./registers.ts";
