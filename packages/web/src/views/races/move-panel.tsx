import type { Beat, Seen, Sequence } from "@intremap/core";

/** The move that is looked at: what is done, and what then holds. */
export function MovePanel({ sequence, step }: { readonly sequence: Sequence; readonly step: number }) {
  const beat = step === 0 ? null : sequence.beats[step - 1]!;
  return (
    <aside class="race-move" aria-label="The move" tabIndex={0}>
      <div role="status">
        {beat === null ? <h3>Before the first move</h3> : <Told beat={beat} number={step} />}
      </div>
      {step === sequence.beats.length ? <p class="bad">✗ {sequence.property}</p> : null}
      {(beat?.seen ?? sequence.first).map((seen) => (
        <Thing key={seen.what} seen={seen} beat={beat} />
      ))}
    </aside>
  );
}

function Told({ beat: { move }, number }: { readonly beat: Beat; readonly number: number }) {
  const { actor, step, routine, does, rest = [] } = move;
  return (
    <>
      <h3>
        {number}. {actor} <code>{step}</code>
      </h3>
      {routine === "" ? null : (
        <p class="routine">
          <code>{routine}</code>
        </p>
      )}
      <p>{does}</p>
      {rest.length === 0 ? null : (
        <ol class="race-rest" aria-label="In the same move">
          {rest.map((each, i) => (
            <li key={i}>
              <code>{each.step}</code> {each.does}
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

function Thing({ seen: { what, values }, beat }: { readonly seen: Seen; readonly beat: Beat | null }) {
  const changes = beat?.changes.filter((change) => change.what === what) ?? [];
  return (
    <table class="race-seen">
      <caption>{what}</caption>
      <tbody>
        {Object.entries(values).map(([name, value]) => {
          const change = changes.find((each) => each.name === name);
          return (
            <tr key={name} class={change === undefined ? undefined : "changed"}>
              <th scope="row">{name}</th>
              <td>
                {change === undefined ? (
                  value
                ) : (
                  <>
                    <del>{change.from}</del> <ins>{value}</ins>
                  </>
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
