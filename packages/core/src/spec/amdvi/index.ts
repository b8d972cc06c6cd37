export * from "./commands.ts";
export * from "./dte.ts";
export * from "./events.ts";
export * from "./faults.ts";
export * from "./galog.ts";
export * from "./irte.ts";
export * from "./registers.ts";
export * from "./request.ts";
