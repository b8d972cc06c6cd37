import type { PlayResult, VerifyTexts } from "@intremap/core";
import { askedIn } from "../../engine/races/question.ts";
import type { RaceVerdict } from "../../engine/tasks/verify-races.ts";
import { CopyButton } from "../../parts/copy-button.tsx";
import { Notice } from "../../parts/notice.tsx";
import { SaveFile } from "../../parts/save-file.tsx";
import { route } from "../../state/route.ts";
import { Counterexample } from "./counterexample.tsx";

/** What came of it: a counterexample step by step, or how much was seen. */
export function RaceOutcome({ verdict: { document, shown } }: { readonly verdict: RaceVerdict }) {
  const { plays } = document;
  const asked = askedIn(route.value.query);
  const open = plays.filter(({ exhausted, counterexample }) => !exhausted && counterexample === null);
  return (
    <>
      <div class="race-head">
        <div role="status">
          <Headline shown={shown} open={open} />
        </div>
        <span class="race-tools">
          <CopyButton label="Copy as JSON" text={JSON.stringify(document, null, 2)} />
          <CopyButton label="Copy the command" text={commandOf(asked)} />
          {shown === null ? null : (
            <SaveFile
              label="Save for Perfetto"
              name={`${document.vendor}-${document.without ?? shown.play.name}.pftrace`}
              type="application/octet-stream"
              content={() => shown.trace}
            />
          )}
        </span>
      </div>
      {open.length === 0 ? null : (
        <Notice kind="large" title="Not every state was seen">
          A search in a page has 1 GiB. In a terminal there is more:{" "}
          <code>{commandOf(asked)} --memory 16G</code>
        </Notice>
      )}
      {shown === null ? null : (
        <Counterexample sequence={shown.sequence} vendor={document.vendor} play={shown.play.name} />
      )}
      <PlayTable plays={plays} />
    </>
  );
}

function Headline({
  shown,
  open,
}: {
  readonly shown: RaceVerdict["shown"];
  readonly open: readonly PlayResult[];
}) {
  if (shown !== null) {
    const { property, beats } = shown.sequence;
    return (
      <h2 class="bad">
        ✗ {property}, after {beats.length} moves <small>{shown.play.title}</small>
      </h2>
    );
  }
  if (open.length > 0) return <h2>Nothing was found so far</h2>;
  return <h2 class="good">✓ Every state was seen: nothing goes wrong in any order</h2>;
}

function PlayTable({ plays }: { readonly plays: readonly PlayResult[] }) {
  return (
    <table class="race-plays">
      <caption>What was explored</caption>
      <thead>
        <tr>
          {["play", "states", "moves", "depth", "seconds", "states/s", "bytes/state", "outcome"].map(
            (name, i) => (
              <th key={name} scope="col" class={i > 0 && i < 7 ? "number" : undefined}>
                {name}
              </th>
            ),
          )}
        </tr>
      </thead>
      <tbody>
        {plays.map((play) => (
          <tr key={play.name}>
            <th scope="row" title={play.title}>
              {play.name}
            </th>
            {[play.states, play.transitions, play.depth].map((count, i) => (
              <td key={i} class="number">
                {count.toLocaleString("en")}
              </td>
            ))}
            <td class="number">{play.seconds.toFixed(2)}</td>
            <td class="number">{play.statesPerSecond.toLocaleString("en")}</td>
            <td class="number">{play.bytesPerState.toFixed(1)}</td>
            <td>{outcomeOf(play)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function outcomeOf({ counterexample, stopped }: PlayResult): string {
  if (counterexample !== null)
    return `${counterexample.property}, after ${counterexample.steps.length} moves`;
  return stopped === null ? "nothing goes wrong" : `not exhausted: ${stopped}`;
}

function commandOf(asked: VerifyTexts): string {
  return ["intremap verify", ...Object.entries(asked).map(([key, value]) => `--${key} ${value}`)].join(" ");
}
