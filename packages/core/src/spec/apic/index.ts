export * from "./avic.ts";
export * from "./ioapic.ts";
export * from "./local-apic.ts";
export * from "./vmx.ts";
