import type { Context, Naming } from "@intremap/core";
import { CopyButton } from "../../parts/copy-button.tsx";
import { change, route } from "../../state/route.ts";
import { type CopyForm, copyForms, copyOf, copyTitle } from "./copies.ts";
import type { Subject } from "../../parts/subject.ts";

interface CopyPanelProps {
  readonly subject: Subject;
  readonly naming: Naming;
  readonly context: Context;
}

function choose(form: CopyForm): void {
  change({ copy: form === "hex" ? undefined : form }, "push");
}

/** The value in the form in which somebody wants it elsewhere. */
export function CopyPanel({ subject, naming, context }: CopyPanelProps) {
  const { query } = route.value;
  const index = Number(/^\d{1,5}$/.exec(query["index"] ?? "0")?.[0] ?? 0);
  const options = { names: naming, context, index };
  const forms = copyForms.filter((form) => copyOf(form, subject, options) !== null);
  const form = forms.find((one) => one === query["copy"]) ?? forms[0]!;
  const text = copyOf(form, subject, options)!;
  return (
    <section class="bits-copy">
      <h3>Take it along</h3>
      <div class="bits-forms" role="radiogroup" aria-label="Form of the copy">
        {forms.map((one) => (
          <label key={one}>
            <input type="radio" name="copy" checked={one === form} onChange={() => choose(one)} />
            {copyTitle(one, subject)}
          </label>
        ))}
        <CopyButton label="Copy" text={text} />
      </div>
      <pre class="copied" tabIndex={0} aria-label={`${copyTitle(form, subject)} of the value`}>
        {text}
      </pre>
    </section>
  );
}
