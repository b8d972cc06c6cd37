import { type RuleId, ruleOf } from "@intremap/core";

/** A rule with its section and force; its sentence on request. */
export function RuleNote({ id }: { readonly id: RuleId }) {
  const { section, force, text } = ruleOf(id);
  return (
    <details class={`rule ${force}`}>
      <summary>
        <code>{id}</code> <span class="section">{section}</span> <span class="force">{force}</span>
      </summary>
      <p>{text}</p>
    </details>
  );
}
