import {
  type PlayTitle,
  type Protocol,
  type Removable,
  type Size,
  baseSize,
  protocols,
  sizeBounds,
} from "@intremap/core";

export interface RaceProtocol {
  readonly vendor: Protocol["vendor"];
  readonly removable: readonly Removable[];
  readonly plays: readonly PlayTitle[];
}

export interface RaceChoices {
  readonly protocols: readonly RaceProtocol[];
  readonly baseSize: Size;
  readonly sizeBounds: typeof sizeBounds;
}

/** What can be explored. */
export function listRaces(): RaceChoices {
  const listed = Object.values(protocols).map(({ vendor, removable, plays }) => ({
    vendor,
    removable,
    plays: plays.map(({ name, title, byDefault }) => ({ name, title, byDefault })),
  }));
  return { protocols: listed, baseSize, sizeBounds };
}
