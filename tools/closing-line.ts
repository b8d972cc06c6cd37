import type { Reporter, TestModule } from "vitest/node";

/** Prints the names of skipped tests and, last, the line that continuous integration reads. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed" || state === "failed" || state === "skipped") count[state]++;
        if (state === "skipped") console.log(`skipped: ${test.fullName} (${module.relativeModuleId})`);
      }
      if (module.state() === "failed" && module.errors().length > 0) count.failed++;
    }
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  }
}
