import type { Fact, Missing, Origin } from "../../evidence/host/fact.ts";
import type { AmdviUnitState, TableEntries } from "../../evidence/host/unit.ts";
import { controlOf } from "../../hardware/amdvi/bring-up.ts";
import { type AmdviProfile, amdviStrict } from "../../hardware/amdvi/profile.ts";
import { AmdviUnit } from "../../hardware/amdvi/unit.ts";
import { Outcome } from "../../hardware/delivery.ts";
import { Memory } from "../../hardware/memory.ts";
import * as amdData from "../../spec/accessors/msi-amd-data.ts";
import { dte, dteBytes } from "../../spec/amdvi/dte.ts";
import { irteBytes } from "../../spec/amdvi/irte.ts";
import { control, deviceTableBase, registers } from "../../spec/amdvi/registers.ts";
import { decode, encode, hex, toWords } from "../../spec/codec.ts";
import { printRequester } from "../../spec/requester.ts";
import type { RuleId } from "../../spec/rules.ts";
import { type AmdviDecisionFacts, type AmdviReading, amdviSteps } from "../decision-amdvi.ts";
import type { HostLinks } from "../host/links.ts";
import { hasWideIndex, leavingRule } from "../leaving-amdvi.ts";
import { MessageComposer } from "../message-composer.ts";
import { amdviDecision } from "../path-amdvi.ts";
import {
  DecisionWatch,
  type HostDecision,
  type HostRequest,
  type RunResult,
  cameTo,
  conclude,
} from "./host-decision.ts";
import { type Choice, type Setting, choices, flag, known } from "./settings.ts";

/** Where a table is put whose place is not known: addresses that no machine's RAM has. */
const assumedDeviceTable = 2 ** 51;
const assumedTable = assumedDeviceTable + 2 ** 40;
const kernelRights = "root on the host, or a dump of its kernel";
const tableRights =
  "root on the host, debugfs (iommu/amd/devtbl and irqtbl, since 6.17), or a dump of its kernel";

type AmdviSettings = Readonly<Record<"iommuen" | "gaen" | "gamen" | "xten" | "wide", Setting<number>>>;

/** What is known of one device. */
interface DeviceFacts {
  readonly entry: bigint | undefined;
  readonly entryOrigin: Origin | undefined;
  readonly table: Fact<TableEntries> | undefined;
}

/** One AMD-Vi unit of a host, as far as its state is known, to be asked what it would do. */
export class AmdviHost {
  readonly #links: HostLinks;
  readonly #unit: AmdviUnitState;
  readonly #remapping: Fact<boolean> | undefined;
  readonly #extended: Fact<boolean> | undefined;
  readonly #control: Fact<bigint> | undefined;
  readonly #features: bigint;
  readonly #features2: bigint;
  readonly #deviceTable: { readonly base: number; readonly pages: number } | null;

  constructor(links: HostLinks, unit: AmdviUnitState) {
    this.#links = links;
    this.#unit = unit;
    this.#remapping = links.remappingOn(unit);
    this.#extended = links.extendedMode(unit);
    this.#control = unit.control ?? unit.registers.get("CONTROL");
    this.#features = (unit.features ?? unit.registers.get("EFR"))?.value ?? amdviStrict.efr;
    this.#features2 = (unit.features2 ?? unit.registers.get("EFR2"))?.value ?? amdviStrict.efr2;
    this.#deviceTable = deviceTableOf(unit);
  }

  decide(request: HostRequest): HostDecision {
    const { requester, data } = request;
    const address = Number(BigInt.asIntN(32, request.address));
    const index = amdData.index(data | 0);
    const device: DeviceFacts = {
      entry: this.#unit.devices?.value.get(requester),
      entryOrigin: this.#unit.devices?.origin,
      table: this.#unit.tables.get(requester),
    };
    const settings = this.#settings(device);
    const answers = choices(settings).map((choice) => {
      const result = this.#run(settings, choice, request, address, index, device);
      const { branch, message, posting } = result;
      const key = JSON.stringify([branch.ending, message, posting], (_, part: unknown) =>
        typeof part === "bigint" ? hex(part) : part,
      );
      return { choice, key, result };
    });
    return conclude(
      settings,
      answers,
      amdviSteps,
      amdviDecision,
      this.#readings(request, device, index),
      request,
      this.#unknown(requester, index),
    );
  }

  #settings({ table }: DeviceFacts): AmdviSettings {
    const bits = this.#control && decode(control, this.#control.value);
    const setting = (name: string, value: number | undefined, what: string): Setting<number> => ({
      name,
      values: value === undefined ? [1, 0] : [value],
      missing: {
        what: `${what} of ${this.#unit.name}`,
        why: `${this.#links.state.source} does not tell it`,
        needs: kernelRights,
      },
    });
    const width = table?.value.width;
    const wide = bits && Number(bits.numintremapmode === 1);
    return {
      iommuen: setting("Control.IommuEn", flag(this.#remapping?.value), "whether interrupt remapping is on"),
      gaen: setting(
        "Control.GAEn",
        bits ? Number(bits.gaen) : width === undefined ? undefined : width === 128 ? 1 : 0,
        "the size of interrupt table entries",
      ),
      gamen: setting(
        "Control.GAMEn",
        bits && Number(bits.gamen === 1),
        "whether guest-mode entries are allowed",
      ),
      xten: setting("Control.XTEn", flag(this.#extended?.value), "whether destinations have 32 bits"),
      wide: setting("Control.NumIntRemapMode", wide, "how many interrupts a device can have"),
    };
  }

  #readings(
    request: HostRequest,
    device: DeviceFacts,
    index: number,
  ): Record<AmdviReading, readonly Origin[]> {
    const { requester, messageOrigin, requesterOrigin } = request;
    const entry = this.#tableBase(device);
    const bytes = device.table?.value.width === 32 ? irteBytes.legacy : irteBytes.ga;
    const place = entry === undefined ? undefined : hex(entry + BigInt(index * bytes));
    const table = device.table?.origin;
    const inTable = this.#deviceTable && hex(this.#deviceTable.base + requester * dteBytes);
    return {
      control: [...one(this.#control?.origin), ...one(this.#remapping?.origin)],
      deviceTable: one(device.entryOrigin),
      device: one(
        device.entryOrigin && (inTable ? { ...device.entryOrigin, place: inTable } : device.entryOrigin),
      ),
      message: [messageOrigin],
      table: one(table && (place === undefined ? table : { ...table, place })),
      requester: one(requesterOrigin),
      features: one((this.#unit.features ?? this.#unit.registers.get("EFR"))?.origin),
      page: [],
    };
  }

  #tableBase({ entry, table }: DeviceFacts): bigint | undefined {
    if (entry !== undefined) return BigInt(decode(dte, entry).inttableptr);
    return table?.value.base ?? undefined;
  }

  #unknown(requester: number, index: number): Readonly<Partial<Record<RuleId, Missing>>> {
    const whose = `${printRequester(requester)} at ${this.#unit.name}`;
    const why = `${this.#links.state.source} does not tell it`;
    return {
      "amdvi.dte.out-of-range":
        requester < 0
          ? { what: "the DeviceID with which the request arrives", why, needs: "the IVRS table" }
          : { what: `the device table entry of ${whose}`, why, needs: tableRights },
      "amdvi.ir.table-access": { what: `entry ${index} of the table of ${whose}`, why, needs: tableRights },
    };
  }

  #run(
    settings: AmdviSettings,
    choice: Choice<AmdviSettings>,
    request: HostRequest,
    address: number,
    index: number,
    device: DeviceFacts,
  ): RunResult<AmdviDecisionFacts> {
    const { requester, data } = request;
    const memory = new Memory({ limitMiB: 4 });
    const place = this.#deviceTable ?? { base: assumedDeviceTable, pages: 512 };
    const fields = device.entry === undefined ? undefined : decode(dte, device.entry);
    const table = fields === undefined ? assumedTable : Number(fields.inttableptr);
    if (device.entry !== undefined)
      memory.writeWords(place.base + requester * dteBytes, toWords(device.entry, 256));
    const bytes = choice.gaen === 1 ? irteBytes.ga : irteBytes.legacy;
    const value = entryAt(device.table?.value, index, bytes * 8);
    memory.writeWords(table + index * bytes, toWords(value ?? 0n, bytes * 8));
    const composer = new MessageComposer();
    const watch = new DecisionWatch();
    let doorbell: number | null = null;
    const unit = new AmdviUnit({
      memory,
      fabric: composer,
      profile: this.#profile,
      observer: watch,
      doorbell: (apicId) => (doorbell = apicId),
    });
    unit.write(
      registers.DEV_TAB_BASE.offset,
      64,
      encode(deviceTableBase, { base: place.base, size: place.pages - 1 }),
    );
    if (choice.iommuen === 1) {
      const setup = {
        deviceTable: place.base,
        ga: choice.gaen === 1,
        guestMode: choice.gamen === 1,
        x2apic: choice.xten === 1,
        index2048: choice.wide === 1,
      };
      unit.write(registers.CONTROL.offset, 64, controlOf(setup));
    }
    watch.watching = true;
    const outcome = unit.interrupt(address, data | 0, requester);
    const words = toWords(device.entry ?? 0n, 256);
    const enabled = choice.iommuen === 1;
    const wideIndex = hasWideIndex(unit.profile, choice.wide, address);
    const rule =
      outcome === Outcome.blocked
        ? unit.fault!.rule
        : outcome === Outcome.posted
          ? "amdvi.ga.post"
          : leavingRule(unit.profile, { enabled, device: words, data, wideIndex });
    const open = openAt(choice, requester, device.entry, watch.seen, value);
    const { ending, result, message, delivery } = cameTo(outcome, rule, open, composer);
    const posted = open === undefined ? watch.posted : null;
    const facts: AmdviDecisionFacts = {
      enabled: known(settings.iommuen),
      deviceTable: {
        deviceId: requester,
        entries: this.#deviceTable === null ? null : (this.#deviceTable.pages * 4096) / dteBytes,
      },
      ga: known(settings.gaen),
      wideIndex,
      device: words,
      tableLength: fields === undefined ? null : Number(fields.inttablen),
      address,
      data: data | 0,
      index,
      entryAddress: fields === undefined ? null : BigInt(table + index * bytes),
      entry: watch.seen && value !== undefined ? watch.words : undefined,
      cached: false,
      result,
    };
    return {
      branch: { facts, ending },
      message,
      delivery,
      posting: posted && {
        address: posted.address,
        vector: posted.vector,
        notified: posted.notified,
        logged: logs(value),
        notification: doorbell === null ? null : { destination: doorbell, vector: null },
      },
    };
  }

  /** The registers as they were read; what they say that the unit cannot do, it does not do. */
  get #profile(): AmdviProfile {
    return {
      ...amdviStrict,
      name: this.#unit.name,
      efr: this.#features,
      efr2: this.#features2,
      cacheTables: false,
      cacheDevices: false,
    };
  }
}

function one(origin: Origin | undefined | null): Origin[] {
  return origin === undefined || origin === null ? [] : [origin];
}

/** The rule of the step from which on the answer hangs on something that is not known. */
function openAt(
  { iommuen }: Choice<AmdviSettings>,
  requester: number,
  entry: bigint | undefined,
  seen: boolean,
  value: bigint | undefined,
): RuleId | undefined {
  if (iommuen === 0) return undefined;
  if (requester < 0 || entry === undefined) return "amdvi.dte.out-of-range";
  return seen && value === undefined ? "amdvi.ir.table-access" : undefined;
}

/** The entry at an index, 0 for one that is all zeros; undefined where it is not known. */
function entryAt(table: TableEntries | undefined, index: number, width: number): bigint | undefined {
  if (table === undefined || table.width !== width) return undefined;
  return table.entries.get(index) ?? (table.complete ? 0n : undefined);
}

/** Of a guest-mode entry: GALogIntr without IsRun. */
function logs(value: bigint | undefined): boolean {
  return value !== undefined && (value & 0x44n) === 0x4n;
}

function deviceTableOf(unit: AmdviUnitState): { readonly base: number; readonly pages: number } | null {
  const register = unit.registers.get("DEV_TAB_BASE");
  if (register === undefined) return null;
  const { base, size } = decode(deviceTableBase, register.value);
  return { base: Number(base), pages: Number(size) + 1 };
}
