export * from "./dmar.ts";
export * from "./ivrs.ts";
export * from "./madt.ts";
export * from "./table.ts";
