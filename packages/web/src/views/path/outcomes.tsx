import type { RunResult } from "@intremap/core";

const figures: readonly (readonly [key: keyof RunResult, title: string, about: string])[] = [
  ["raised", "raised", "interrupts that devices raised"],
  ["delivered", "delivered", "handlers that ran for them, in the host or in a guest"],
  ["coalesced", "merged", "raised while one of the same vector had not been handled: one handler for all"],
  ["lost", "lost", "raised, accepted, and never handled"],
  ["blocked", "blocked", "requests that the remapping unit refused"],
  ["hijacked", "hijacked", "interrupts that a device brought to a CPU past what its entries permit"],
  ["vmExits", "VM exits", "of all vCPUs, those of the guest's setting up included"],
  [
    "notifications",
    "notifications",
    "posted-interrupt notifications and doorbells, sent by a unit or by KVM",
  ],
  [
    "hostInterrupts",
    "host interrupts",
    "handlers of the host that ran, each that one notification brings included",
  ],
  ["wakeups", "wake-ups", "halted vCPUs that were woken"],
  ["ipis", "IPIs", "interrupts between vCPUs that a handler in a guest took"],
  ["remapped", "remapped", "remapped entries present at the end"],
  ["posted", "posted", "posted entries present at the end"],
];

const bad: ReadonlySet<string> = new Set(["lost", "hijacked"]);

interface OutcomesProps {
  readonly results: readonly { readonly name: string; readonly result: RunResult }[];
  /** These, and others where they are not 0; all of them unless told. */
  readonly always?: readonly (keyof RunResult)[];
}

/** What the runs came to, a row each; where there are two, what differs stands out. */
export function Outcomes({ results, always }: OutcomesProps) {
  const two = results.length > 1;
  const shown = figures.filter(
    ([key]) =>
      always === undefined || always.includes(key) || results.some(({ result }) => result[key] !== 0),
  );
  return (
    <>
      <div class="outcomes" role="group" aria-label="What it came to" tabIndex={0}>
        <table>
          <caption class="visually-hidden">What it came to</caption>
          <thead>
            <tr>
              {two ? <th scope="col">run</th> : null}
              {shown.map(([key, title, about]) => (
                <th key={key} scope="col" title={about}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {results.map(({ name, result }) => (
              <tr key={name}>
                {two ? <th scope="row">{name}</th> : null}
                {shown.map(([key]) => {
                  const value = result[key] as number;
                  const differs = two && results.some((other) => other.result[key] !== value);
                  const look =
                    bad.has(key) && value > 0 ? "bad" : differs ? "differs" : value === 0 ? "zero" : "";
                  return (
                    <td key={key} class={look} data-figure={key}>
                      {value.toLocaleString("en")}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {results.some(({ result }) => result.findings.length > 0) ? (
        <ul class="run-findings">
          {results.flatMap(({ name, result }) =>
            result.findings.slice(0, 20).map((finding) => <li>{two ? `${name}: ${finding}` : finding}</li>),
          )}
        </ul>
      ) : null}
    </>
  );
}

/** What else the runs left behind, on request. */
export function Leftovers({ results }: OutcomesProps) {
  return (
    <>
      {results.map(({ name, result }) => (
        <Leftover key={name} name={results.length > 1 ? name : ""} result={result} />
      ))}
    </>
  );
}

function Leftover({ name, result }: { readonly name: string; readonly result: RunResult }) {
  const { faults, log, settings, kernel, profile, vmExitsByReason } = result;
  const exits = Object.entries(vmExitsByReason);
  return (
    <details class="run-more">
      <summary>
        {name === "" ? "" : `${name}: `}Linux {kernel}, {profile}, {settings}
      </summary>
      {exits.length === 0 ? null : (
        <p>
          VM exits: {exits.map(([reason, count]) => `${reason} ${count.toLocaleString("en")}`).join(", ")}
        </p>
      )}
      {faults.length === 0 ? null : (
        <ul>
          {faults.map(({ fault, rule, section, count }) => (
            <li>
              {count.toLocaleString("en")} × {fault}: <code>{rule}</code>{" "}
              <span class="section">{section}</span>
            </li>
          ))}
        </ul>
      )}
      {log.length === 0 ? null : (
        <pre class="kernel-log" tabIndex={0} aria-label="The host kernel's log">
          {log.slice(0, 500).join("\n")}
        </pre>
      )}
    </details>
  );
}
