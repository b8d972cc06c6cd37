import type { Size } from "@intremap/core";
import type { RaceChoices, RaceProtocol } from "../../engine/tasks/list-races.ts";
import { useEffect, useRef } from "preact/hooks";
import { change, route } from "../../state/route.ts";

const sizeTitles: Readonly<Record<keyof Size, string>> = {
  vcpus: "vCPUs",
  cpus: "CPUs",
  posts: "posts",
  preemptions: "preemptions",
  halts: "halts",
  migrations: "migrations",
};

const vendorTitles: Readonly<Record<RaceProtocol["vendor"], string>> = {
  intel: "VMX, VT-d",
  amd: "AVIC, AMD-Vi",
};

/** What is explored: all of it stands in the address. */
export function RaceForm({ choices }: { readonly choices: RaceChoices }) {
  const { query } = route.value;
  const { protocols } = choices;
  const protocol = protocols.find(({ vendor }) => vendor === query["vendor"]) ?? protocols[0]!;
  return (
    <form class="race-form" onSubmit={explore}>
      <div class="race-what">
        <VendorChoice protocols={protocols} chosen={protocol} />
        <PlayChoice protocol={protocol} />
        <SizeChoice choices={choices} />
      </div>
      <StepChoice protocol={protocol} />
    </form>
  );
}

function VendorChoice({
  protocols,
  chosen,
}: {
  readonly protocols: readonly RaceProtocol[];
  readonly chosen: RaceProtocol;
}) {
  return (
    <div class="race-first">
      <fieldset class="race-vendor">
        <legend>Protocol</legend>
        {protocols.map(({ vendor }) => (
          <label key={vendor}>
            <input
              type="radio"
              name="vendor"
              checked={vendor === chosen.vendor}
              onChange={() => chooseVendor(vendor)}
            />
            {vendorTitles[vendor]}
          </label>
        ))}
      </fieldset>
      <button type="submit" class="primary">
        Explore every order
      </button>
    </div>
  );
}

function PlayChoice({ protocol }: { readonly protocol: RaceProtocol }) {
  const { query } = route.value;
  const step = protocol.removable.find(({ id }) => id === query["without"]);
  const unasked =
    step === undefined ? allByDefault(protocol) : `${step.play}, where the step's absence shows`;
  return (
    <label class="race-play">
      What happens meanwhile
      <select
        value={query["play"] ?? ""}
        onChange={({ currentTarget: { value } }) =>
          change({ play: value === "" ? undefined : value, ...afresh() }, "push")
        }
      >
        <option value="">{unasked}</option>
        {protocol.plays.map(({ name, title }) => (
          <option key={name} value={name}>
            {name}: {title}
          </option>
        ))}
      </select>
    </label>
  );
}

function allByDefault({ plays }: RaceProtocol): string {
  const others = plays.filter(({ byDefault }) => !byDefault).map(({ name }) => name);
  return others.length === 0 ? "all of these" : `all of these but ${others.join(", ")}`;
}

function explore(event: Event): void {
  event.preventDefault();
  exploreAgain();
}

/** Also what was explored already, or stopped: each time is another. */
export function exploreAgain(): void {
  const before = Number(route.value.query["run"] ?? 0);
  change({ run: Number.isSafeInteger(before) ? String(before + 1) : "1", step: undefined }, "push");
}

function chooseVendor(vendor: string): void {
  change({ vendor, without: undefined, play: undefined, run: undefined, step: undefined }, "push");
}

function leaveOut(without: string | undefined): void {
  change({ without, play: undefined, run: without && "1", step: undefined }, "push");
}

/** Without a step a counterexample is soon found: what is changed is explored at once. */
function afresh(): { run: string | undefined; step: undefined } {
  return { run: route.value.query["without"] === undefined ? undefined : "1", step: undefined };
}

function SizeChoice({ choices: { baseSize, sizeBounds } }: { readonly choices: RaceChoices }) {
  const { query } = route.value;
  return (
    <fieldset class="race-size">
      <legend>Size; preemptions, halts and migrations of each vCPU</legend>
      {(Object.keys(sizeBounds) as (keyof Size)[]).map((key) => {
        const [from, to] = sizeBounds[key];
        return (
          <label key={key}>
            {sizeTitles[key]}
            <select
              value={query[key] ?? String(baseSize[key])}
              onChange={({ currentTarget: { value } }) =>
                change({ [key]: value === String(baseSize[key]) ? undefined : value, ...afresh() }, "push")
              }
            >
              {Array.from({ length: to - from + 1 }, (_, i) => (
                <option key={i} value={String(from + i)}>
                  {from + i}
                </option>
              ))}
            </select>
          </label>
        );
      })}
    </fieldset>
  );
}

function StepChoice({ protocol: { removable } }: { readonly protocol: RaceProtocol }) {
  const { query } = route.value;
  const chosen = query["without"];
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const box = list.current!;
    const row = box.querySelector(":checked")?.closest("label");
    if (row === null || row === undefined) return;
    const top = row.offsetTop - box.offsetTop;
    box.scrollTop = Math.min(top, Math.max(box.scrollTop, top + row.offsetHeight - box.clientHeight));
  }, [chosen]);
  return (
    <fieldset class="race-steps">
      <legend>Switch a step off</legend>
      <div class="race-list" ref={list}>
        <label>
          <input
            type="radio"
            name="without"
            checked={chosen === undefined}
            onChange={() => leaveOut(undefined)}
          />
          <span>None: the protocol as it is</span>
        </label>
        {removable.map(({ id, bug }) => (
          <label key={id}>
            <input type="radio" name="without" checked={chosen === id} onChange={() => leaveOut(id)} />
            <span>
              <code>{id}</code>
              <small>{bug}</small>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
