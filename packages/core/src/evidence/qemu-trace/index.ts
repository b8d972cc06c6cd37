export type { TraceHandler, Vendor } from "./handler.ts";
export { QemuTraceReader, type Skipped } from "./reader.ts";
