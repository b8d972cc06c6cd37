import type { Missing, Origin } from "../../evidence/host/fact.ts";
import type { VtdUnitState } from "../../evidence/host/unit.ts";
import { Outcome, unknownRequester } from "../../hardware/delivery.ts";
import { Memory } from "../../hardware/memory.ts";
import { command, setTable } from "../../hardware/vtd/bring-up.ts";
import { type VtdProfile, vtdStrict } from "../../hardware/vtd/profile.ts";
import { VtdUnit } from "../../hardware/vtd/unit.ts";
import * as irte from "../../spec/accessors/irte-remapped.ts";
import { decode, encode, hex, toWords } from "../../spec/codec.ts";
import { msiRemappableAddress } from "../../spec/msi/message.ts";
import type { RuleId } from "../../spec/rules.ts";
import { irteBytes, irtePosted } from "../../spec/vtd/irte.ts";
import {
  capability,
  extendedCapability,
  globalCommand,
  globalStatus,
  tableAddress,
} from "../../spec/vtd/registers.ts";
import { type VtdDecisionFacts, type VtdReading, requestIndex, vtdSteps } from "../decision-vtd.ts";
import type { HostLinks } from "../host/links.ts";
import { MessageComposer } from "../message-composer.ts";
import { vtdDecision } from "../path-vtd.ts";
import {
  DecisionWatch,
  type HostDecision,
  type HostRequest,
  type Posting,
  type RunResult,
  cameTo,
  conclude,
} from "./host-decision.ts";
import { type Choice, type Setting, choices, flag, known } from "./settings.ts";

/** Where a table is put whose place is not known: an address that no machine's RAM has. */
const assumedTable = 2 ** 51;
const largestSize = 15;
const tableRights = "root on the host, debugfs (iommu/intel/ir_translation_struct), or a dump of its kernel";
const kernelRights = "root on the host, or a dump of its kernel";

type VtdSettings = Readonly<
  Record<"ires" | "eime" | "cfis" | "pi" | "irreq" | "eimer" | "haw" | "size", Setting<number>>
>;

/** One VT-d unit of a host, as far as its state is known, to be asked what it would do. */
export class VtdHost {
  readonly #links: HostLinks;
  readonly #unit: VtdUnitState;
  readonly #settings: VtdSettings;
  readonly #origins: Readonly<
    Record<Exclude<VtdReading, "message" | "requester" | "descriptor">, readonly Origin[]>
  >;
  readonly #base: number | null;
  readonly #extendedCapability: bigint | null;
  readonly #capability: bigint | null;

  constructor(links: HostLinks, unit: VtdUnitState) {
    this.#links = links;
    this.#unit = unit;
    const { registers } = unit;
    const cap = unit.capability ?? registers.get("CAP");
    const ecap = unit.extendedCapability ?? registers.get("ECAP");
    const irta = registers.get("IRTA");
    const status = registers.get("GSTS");
    const remapping = links.remappingOn(unit);
    const extended = links.extendedMode(unit);
    const compatibility = compatibilityOf(unit);
    const haw = links.state.firmware.dmar;
    const capBits = cap && decode(capability, cap.value);
    const ecapBits = ecap && decode(extendedCapability, ecap.value);
    const table = irta && decode(tableAddress, irta.value);
    const setting = (
      name: string,
      value: number | undefined,
      open: readonly number[],
      what: string,
    ): Setting<number> => ({
      name,
      values: value === undefined ? open : [value],
      missing: {
        what: `${what} of ${unit.name}`,
        why: `${links.state.source} does not tell it`,
        needs: kernelRights,
      },
    });
    const bits = [1, 0];
    const width = haw?.value.hostAddressWidth;
    this.#settings = {
      ires: setting("GSTS.IRES", flag(remapping?.value), bits, "whether interrupt remapping is on"),
      eime: setting("IRTA.EIME", flag(extended?.value), bits, "whether destinations have 32 bits"),
      cfis: setting("GSTS.CFIS", flag(compatibility), bits, "whether compatibility format passes"),
      pi: setting("CAP.PI", capBits && Number(capBits.pi), bits, "the capability register"),
      irreq: setting(
        "ECAP.IRREQ",
        ecapBits && Number(ecapBits.irreq),
        bits,
        "the extended capability register",
      ),
      eimer: setting(
        "ECAP.EIMER",
        ecapBits && Number(ecapBits.eimer),
        bits,
        "the extended capability register",
      ),
      haw: setting("host address width", width, [52, 32], "the host address width"),
      size: setting(
        "IRTA.S",
        sizeOf(unit, table && Number(table.s)),
        sizesOf(unit),
        "the length of the remapping table",
      ),
    };
    this.#base = baseOf(unit, table && BigInt(table.irta));
    this.#capability = cap?.value ?? null;
    this.#extendedCapability = ecap?.value ?? null;
    this.#origins = {
      status: origins(remapping, status),
      capability: origins(cap),
      extendedCapability: origins(ecap),
      tableAddress: origins(extended, irta),
      table: origins(unit.table),
    };
  }

  /** @param descriptor of a posted entry, if it is known: its value at an address. */
  decide(request: HostRequest): HostDecision {
    const { data } = request;
    const address = Number(BigInt.asIntN(32, request.address));
    const index = requestIndex(address, data | 0);
    const value = this.#entryAt(index);
    const posted = value === undefined ? undefined : this.#descriptorOf(value);
    const answers = choices(this.#settings).map((choice) => {
      const result = this.#run(choice, request, address, index, value, posted?.value);
      const { branch, message, posting } = result;
      const key = JSON.stringify([branch.ending, message, posting], (_, part: unknown) =>
        typeof part === "bigint" ? hex(part) : part,
      );
      return { choice, key, result };
    });
    const place = this.#base === null ? undefined : hex(this.#base + index * irteBytes);
    const table = this.#origins.table.map((origin) => (place === undefined ? origin : { ...origin, place }));
    const readings: Record<VtdReading, readonly Origin[]> = {
      ...this.#origins,
      table,
      message: [request.messageOrigin],
      requester: request.requesterOrigin === null ? [] : [request.requesterOrigin],
      descriptor: posted?.origin === undefined ? [] : [posted.origin],
    };
    const told = (branches: Parameters<typeof vtdDecision>[0]) => vtdDecision(branches, this.#posts);
    return conclude(this.#settings, answers, vtdSteps, told, readings, request, this.#unknown(index));
  }

  /** What the unit does to the descriptor at an address when a vector is posted there, URG at 0. */
  post(address: bigint, vector: number): Posting {
    const entry = encode(irtePosted, { p: 1, im: 1, vv: vector, pda: address });
    const settled = Object.entries(this.#settings).map(([name, { values }]) => [name, values[0]!]);
    const choice = {
      ...Object.fromEntries(settled),
      ires: 1,
      pi: 1,
      haw: 52,
      eimer: 0,
    } as Choice<VtdSettings>;
    const message = encode(msiRemappableAddress, { prefix: 0xfee, format: 1 });
    const origin = { source: "an entry made for this" };
    const request = { address: message, data: 0, messageOrigin: origin, requester: 0, requesterOrigin: null };
    const descriptor = this.#links.descriptorAt(address)?.descriptor?.value?.value;
    const { posting } = this.#run(choice, request, Number(BigInt.asIntN(32, message)), 0, entry, descriptor);
    return posting ?? { address, vector, notified: null, logged: false, notification: null };
  }

  #unknown(index: number): Readonly<Partial<Record<RuleId, Missing>>> {
    const { name } = this.#unit;
    const why = this.#links.state.missing.find(
      ({ what }) => what.includes("table") && what.includes(name),
    )?.why;
    return {
      "vtd.ir.table-access": {
        what: `entry ${index} of the remapping table of ${name}`,
        why: why ?? `${this.#links.state.source} does not tell it`,
        needs: tableRights,
      },
      "vtd.ir.sid-mismatch": {
        what: "the requester id with which the request arrives",
        why: `${this.#links.state.source} does not tell it`,
        needs: "configuration space of the function and of the bridges above it, or the DMAR table",
      },
    };
  }

  get #posts(): boolean {
    return this.#settings.pi.values[0] === 1;
  }

  /** The entry at an index, 0 for one that is all zeros; undefined where it is not known. */
  #entryAt(index: number): bigint | undefined {
    const table = this.#unit.table?.value;
    return table?.entries.get(index) ?? (table?.complete === true ? 0n : undefined);
  }

  #descriptorOf(entry: bigint): { readonly value: bigint | undefined; readonly origin: Origin | undefined } {
    const { pda } = decode(irtePosted, entry);
    const fact = this.#links.descriptorAt(BigInt(pda))?.descriptor?.value;
    return { value: fact?.value, origin: fact?.origin };
  }

  #run(
    choice: Choice<VtdSettings>,
    request: HostRequest,
    address: number,
    index: number,
    value: bigint | undefined,
    descriptor: bigint | undefined,
  ): RunResult<VtdDecisionFacts> {
    const memory = new Memory({ limitMiB: 4 });
    const base = this.#base ?? assumedTable;
    memory.writeWords(base + index * irteBytes, toWords(value ?? 0n, 128));
    const composer = new MessageComposer();
    const watch = new DecisionWatch();
    const unit = new VtdUnit({ memory, fabric: composer, profile: this.#profile(choice), observer: watch });
    if (choice.ires === 1) {
      setTable(unit, { base, size: choice.size, eime: choice.eime === 1 });
      if (choice.cfis === 1) command(unit, { cfi: 1 });
      command(unit, { ire: 1 });
    }
    const place = value === undefined ? undefined : descriptorPlace(value);
    if (place !== undefined && descriptor !== undefined) memory.writeWords(place, toWords(descriptor, 512));
    watch.watching = true;
    const { requester, data } = request;
    const outcome = unit.interrupt(address, data | 0, requester);
    const seen = watch.seen ? watch.words : undefined;
    const rule = outcome === Outcome.blocked ? unit.fault!.rule : ruleOf(outcome, choice);
    const open = openAt(seen, value, requester, rule);
    const { ending, result, message, delivery } = cameTo(outcome, rule, open, composer);
    return {
      branch: {
        facts: this.#facts(request, address, value === undefined ? undefined : seen, index, result),
        ending,
      },
      message,
      delivery,
      posting:
        watch.posted === null || open !== undefined
          ? null
          : {
              address: watch.posted.address,
              vector: watch.posted.vector,
              logged: false,
              notified: descriptor === undefined ? null : watch.posted.notified,
              notification:
                descriptor !== undefined && watch.posted.notified
                  ? { destination: composer.destination >>> 0, vector: composer.vector }
                  : null,
            },
    };
  }

  #facts(
    request: HostRequest,
    address: number,
    entry: Int32Array | undefined,
    index: number,
    result: string,
  ): VtdDecisionFacts {
    const { ires, eime, cfis, irreq, eimer, size } = this.#settings;
    const sizes = size.values;
    return {
      remappingEnabled: known(ires),
      eime: known(eime),
      compatibilityEnabled: known(cfis),
      remappingRequired: known(irreq),
      eimRequired: known(eimer),
      address,
      data: request.data | 0,
      requester: request.requester,
      entries: sizes.length === 1 ? 2 ** (sizes[0]! + 1) : null,
      entryAddress: this.#base === null ? null : BigInt(this.#base + irteBytes * index),
      entry,
      cached: false,
      result,
    };
  }

  /** The registers as they were read; where fault records lie and how many there are does not matter here. */
  #profile(choice: Choice<VtdSettings>): VtdProfile {
    const bits = decode(capability, this.#capability ?? vtdStrict.capability);
    const extended = decode(extendedCapability, this.#extendedCapability ?? vtdStrict.extendedCapability);
    const { fro, nfr } = decode(capability, vtdStrict.capability);
    const { pi, irreq, eimer, eime, haw } = choice;
    return {
      ...vtdStrict,
      name: this.#unit.name,
      capability: encode(capability, { ...bits, pi, fro, nfr }),
      extendedCapability: encode(extendedCapability, { ...extended, irreq, eimer, ir: 1, c: 1 }),
      hostAddressWidth: haw,
      entryCache: "none",
      // Hardware that holds EIME=1 took it, whatever it reports.
      deviations: eime === 1 && extended.eim === 0 ? ["extendedModeTaken"] : [],
    };
  }
}

function ruleOf(outcome: Outcome, choice: Choice<VtdSettings>): RuleId {
  if (outcome === Outcome.posted) return "vtd.post.atomic";
  if (outcome === Outcome.remapped) return "vtd.ir.remap";
  return choice.ires === 1 ? "vtd.ir.compatibility-pass" : "vtd.ir.pass-through";
}

/** The rule of the step from which on the answer hangs on an entry, or a requester, that is not known. */
function openAt(
  seen: Int32Array | undefined,
  value: bigint | undefined,
  requester: number,
  rule: RuleId,
): RuleId | undefined {
  if (seen === undefined) return undefined;
  if (value === undefined) return "vtd.ir.table-access";
  const verified = irte.svt(seen, 0) === 1 || irte.svt(seen, 0) === 2;
  return requester === unknownRequester && verified && rule !== "vtd.ir.not-present"
    ? "vtd.ir.sid-mismatch"
    : undefined;
}

function origins(...facts: readonly ({ readonly origin: Origin } | undefined)[]): Origin[] {
  return facts.flatMap((one) => (one === undefined ? [] : [one.origin]));
}

function compatibilityOf(unit: VtdUnitState): boolean | undefined {
  const status = unit.registers.get("GSTS");
  if (status !== undefined) return decode(globalStatus, status.value).cfis === 1;
  if (unit.command === undefined) return undefined;
  return decode(globalCommand, BigInt(unit.command.value >>> 0)).cfi === 1;
}

/** IRTA.S: as it was read, or as the table's length says. */
function sizeOf(unit: VtdUnitState, read: number | undefined): number | undefined {
  if (read !== undefined) return read;
  const length = unit.table?.value.length;
  if (length === undefined || length === null) return undefined;
  return Math.min(largestSize, Math.max(0, Math.ceil(Math.log2(Math.max(2, length))) - 1));
}

/** The least that a table with the entries that are known can have, and the most. */
function sizesOf(unit: VtdUnitState): number[] {
  let last = 1;
  for (const index of unit.table?.value.entries.keys() ?? []) last = Math.max(last, index);
  const least = Math.min(largestSize, Math.floor(Math.log2(last)));
  return least === largestSize ? [largestSize] : [largestSize, least];
}

/** Null where it is not known, or is no place for a table. */
function baseOf(unit: VtdUnitState, read: bigint | undefined): number | null {
  const base = Number(unit.table?.value.base ?? read ?? -1n);
  return base >= 0 && base % 4096 === 0 && base + 2 ** 20 <= 2 ** 52 ? base : null;
}

/** Of the descriptor of a posted entry; undefined for any other entry. */
function descriptorPlace(value: bigint): number | undefined {
  const words = toWords(value, 128);
  if (irte.im(words, 0) === 0) return undefined;
  const place = Number(decode(irtePosted, value).pda);
  return place + 64 <= 2 ** 52 ? place : undefined;
}
