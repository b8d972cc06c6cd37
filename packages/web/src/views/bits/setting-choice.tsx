import type { settings } from "../../parts/subject.ts";
import { change } from "../../state/route.ts";

type Setting = (typeof settings)[number];

const titles: Readonly<Record<Setting, readonly [name: string, about: string]>> = {
  eime: ["EIME", "destinations are 32-bit x2APIC ids"],
  pi: ["PI", "the unit can post"],
  gaen: ["GAEn", "entries have 128 bits"],
  xten: ["XTEn", "destinations are 32-bit x2APIC ids"],
};

/** A setting on which hangs what is lawful: 0, 1, or left open. */
export function SettingChoice({
  name,
  value,
}: {
  readonly name: Setting;
  readonly value: 0 | 1 | undefined;
}) {
  const [title, about] = titles[name];
  return (
    <label title={about}>
      {title}
      <select
        value={value === undefined ? "" : `${value}`}
        onChange={({ currentTarget }) => change({ [name]: currentTarget.value || undefined }, "push")}
      >
        <option value="">either</option>
        <option value="0">0</option>
        <option value="1">1</option>
      </select>
    </label>
  );
}
