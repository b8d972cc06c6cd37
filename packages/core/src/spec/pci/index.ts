export * from "./config-header.ts";
export * from "./msi.ts";
export * from "./msix.ts";
