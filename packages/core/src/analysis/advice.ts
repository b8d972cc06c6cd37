/** What lies behind a broken rule in practice, the likeliest first, and what to do next. */
export interface Advice {
  readonly causes: readonly string[];
  /**
   * Commands that a person can run. `{requester}` stands for the device as lspci takes it, `{device}` for its name in
   * sysfs, `{index}` for the interrupt index in decimal; a step is left out where the finding does not know them.
   */
  readonly next: readonly string[];
}
