import type { AmdviProfile } from "../../hardware/amdvi/profile.ts";
import {
  control,
  deviceTableBase,
  extendedFeature,
  extendedFeature2,
  registers,
  ringBase,
} from "../../spec/amdvi/registers.ts";
import { type Values, decode, hex, validate } from "../../spec/codec.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { HazardList } from "./hazard-list.ts";
import type { NotChecked } from "./hazard.ts";

type Control = Values<keyof typeof control.fields>;

/** Control bits that do something only where EFR or EFR2 reports a feature: by bit, the feature's field. */
const featureOf = {
  pprlogen: "pprsup",
  ppren: "pprsup",
  gten: "gtsup",
  gaen: "gasup",
  gamen: "gamsup",
  xten: "xtsup",
  numintremapmode: "numintremapsup",
} as const;

/** What says how an interrupt table is read, and must not change under a unit that reads it. */
const tableModes = ["gaen", "xten", "numintremapmode"] as const;
const modeNames = { gaen: "GAEn", xten: "XTEn", numintremapmode: "NumIntRemapMode" } as const;

/** The control register of a traced unit, and what the driver had set up when it turned the unit on. */
export class AmdviControl {
  /** Undefined until the trace shows it. */
  value: Control | undefined;
  /** The line of the write that set IommuEn; 0 where it was not seen. */
  enabledLine = 0;
  /** Interrupts that came before the trace showed the register. */
  unseen = 0;

  readonly #hazards: HazardList;
  readonly #features: Readonly<Record<string, number | bigint>>;
  /** Register values, where the trace has them at all. */
  readonly #written = new Map<number, bigint>();
  #writes = 0;

  constructor(profile: AmdviProfile, hazards: HazardList) {
    this.#hazards = hazards;
    this.#features = { ...decode(extendedFeature, profile.efr), ...decode(extendedFeature2, profile.efr2) };
  }

  /** A write to a register, of 4 or 8 bytes. */
  register(offset: number, bytes: number, low: number, high: number): void {
    this.#writes++;
    const at = offset & ~7;
    const value = BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n);
    const old = this.#written.get(at) ?? 0n;
    if (bytes === 8) this.#written.set(at, value);
    else if ((offset & 4) === 0) this.#written.set(at, ((old >> 32n) << 32n) | (value & 0xffff_ffffn));
    else this.#written.set(at, ((value & 0xffff_ffffn) << 32n) | (old & 0xffff_ffffn));
  }

  /** The register after a write to it. */
  write(line: number, low: number, high: number): void {
    const was = this.value;
    const now = decode(control, BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n));
    this.value = now;
    if (was !== undefined && was.iommuen === 0 && now.iommuen === 1) {
      this.enabledLine = line;
      this.#base(line, "device table", registers.DEV_TAB_BASE.offset, "amdvi.check.device-table-unset");
    }
    if (was !== undefined && was.cmdbufen === 0 && now.cmdbufen === 1) {
      this.#base(line, "command buffer", registers.CMD_BUF_BASE.offset, "amdvi.check.command-buffer-unset");
    }
    if (was?.iommuen === 1 && now.iommuen === 1) this.#modes(line, was, now);
    this.#unsupported(line, was, now);
    this.#withoutGa(line, was, now);
  }

  finish(): NotChecked[] {
    const rows: NotChecked[] = [];
    if (this.#writes === 0) {
      rows.push({
        rule: null,
        why: "register values: this QEMU traces no write but those to the control register",
        count: null,
      });
    }
    if (this.unseen > 0) {
      rows.push({
        rule: null,
        why: "interrupts before the trace shows the control register",
        count: this.unseen,
      });
    }
    return rows;
  }

  /** Holds a base against what is turned on by it. */
  #base(line: number, what: string, offset: number, rule: RuleId): void {
    if (this.#writes === 0) return;
    const value = this.#written.get(offset) ?? 0n;
    const deviceTable = offset === registers.DEV_TAB_BASE.offset;
    const base = deviceTable ? decode(deviceTableBase, value).base : decode(ringBase, value).base;
    const [broken] = deviceTable ? validate(deviceTableBase, value) : validate(ringBase, value);
    if (BigInt(base) === 0n) {
      this.#add(
        rule,
        line,
        `The ${what} is turned on with its base at 0.`,
        `Write the ${what}'s address and length before it is turned on.`,
      );
    } else if (broken !== undefined) {
      this.#add(
        broken.rule,
        line,
        `The ${what} is turned on with a base of ${hex(value)}: ${broken.found}.`,
        `Write a base that the specification allows before the ${what} is turned on.`,
      );
    }
  }

  #modes(line: number, was: Control, now: Control): void {
    for (const bit of tableModes) {
      if (was[bit] === now[bit]) continue;
      this.#add(
        "amdvi.check.mode-changed",
        line,
        `${modeNames[bit]} goes from ${was[bit]} to ${now[bit]} while IommuEn is 1: tables are read in another way from one interrupt to the next.`,
        `Clear IommuEn before ${modeNames[bit]} is changed, and invalidate every interrupt table behind it.`,
      );
    }
  }

  #unsupported(line: number, was: Control | undefined, now: Control): void {
    for (const [bit, feature] of Object.entries(featureOf)) {
      const name = bit as keyof typeof featureOf;
      if (Number(now[name]) === 0 || was?.[name] === now[name]) continue;
      if (Number(this.#features[feature]) >= Number(now[name])) continue;
      this.#add(
        "amdvi.register.unsupported",
        line,
        `${control.fields[name].title} is set, and this hardware does not report it: the bit does nothing.`,
        "Read EFR and EFR2, and set the bit only where they report the feature.",
      );
    }
  }

  #withoutGa(line: number, was: Control | undefined, now: Control): void {
    if (now.gaen === 1) return;
    for (const bit of ["gamen", "xten"] as const) {
      if (Number(now[bit]) === 0 || (was?.[bit] === now[bit] && was.gaen === now.gaen)) continue;
      this.#add(
        "amdvi.check.mode-without-ga",
        line,
        `${bit === "gamen" ? "GAMEn" : "XTEn"} is set while GAEn is 0.`,
        "Set GAEn in the same write, or before.",
      );
    }
  }

  #add(rule: RuleId, at: number, found: string, fix: string): void {
    this.#hazards.add({ rule, index: null, requester: null, at, since: null, found, fix });
  }
}
