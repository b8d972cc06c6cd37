/** Why a case is run on the model only. */
export const reasons = {
  processors: "state of processors, which cannot be set from outside (LDR, TPR, APIC mode)",
  functions: "configuration space of a function, which no remapping unit sees",
  capabilities: "capabilities that the machine does not report",
  hostAddressWidth: "a host address width of its own",
  compression: "the other choice about fault compression",
  posting: "posted delivery, which the machine does not report",
  guestPosting: "posting to a guest, which the machine does not report",
  access: "accesses that are no interrupt message",
  sweep: "a sweep over every handle",
  records: "fault records that the machine does not have",
  cpuCache: "a CPU's cache",
  readError: "memory that cannot be read",
} as const;
