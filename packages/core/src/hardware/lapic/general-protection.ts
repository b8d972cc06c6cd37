import { type RuleId, ruleOf } from "../../spec/rules.ts";

/** An access to a model-specific register that the processor answers with #GP. */
export class GeneralProtection extends Error {
  readonly rule: RuleId;
  readonly msr: number;

  constructor(rule: RuleId, msr: number) {
    super(`MSR 0x${msr.toString(16)}: ${ruleOf(rule).text}`);
    this.name = "GeneralProtection";
    this.rule = rule;
    this.msr = msr;
  }
}
