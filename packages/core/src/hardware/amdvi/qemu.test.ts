import { describe, expect, test } from "vitest";
import { decode, encode } from "../../spec/codec.ts";
import { commandCodes, completionWait } from "../../spec/amdvi/commands.ts";
import { dte as dteLayout } from "../../spec/amdvi/dte.ts";
import { eventCodes, eventGeneric } from "../../spec/amdvi/events.ts";
import { irte32, irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { extendedFeature } from "../../spec/amdvi/registers.ts";
import { southBridgeIoapic } from "../../spec/amdvi/request.ts";
import { ruleOf } from "../../spec/rules.ts";
import { Outcome, unknownRequester } from "../delivery.ts";
import type { Delivery } from "../recording-fabric.ts";
import {
  type AmdviDeviation,
  type AmdviProfile,
  amdviDeviations,
  amdviProfiles,
  amdviQemu100,
  amdviQemu111,
  amdviQemu72,
  amdviStrict,
} from "./profile.ts";
import { type DteValues, messageAddress, place, testbed } from "./testbed.ts";

const good = encode(irte32, { remapen: 1, dest: 1, vector: 0x45 });
type Bed = ReturnType<typeof testbed>;

/** The message that QEMU's trace shows for a delivery: address and data. */
function traced({ destination, logical, redirectionHint, deliveryMode, vector, level }: Delivery): string {
  const address = 0xfee0_0000 + ((destination & 0xff) << 12) + (redirectionHint << 3) + (logical << 2);
  const data = vector | (deliveryMode << 8) | (1 << 14) | (level << 15);
  return `0x${address.toString(16)} 0x${data.toString(16)}`;
}

/** What left the unit, as QEMU's trace shows it; `blocked` where nothing did. */
function outcome(bed: Bed, data: number, bits = 0, device: number = place.device): string {
  bed.fabric.deliveries.length = 0;
  bed.fabric.messages.length = 0;
  if (bed.send(data, bits, device) === Outcome.blocked) return "blocked";
  const [delivery] = bed.fabric.deliveries;
  if (delivery !== undefined) return traced(delivery);
  const [message] = bed.fabric.messages;
  return `0x${message!.address.toString(16)} 0x${message!.data.toString(16)}`;
}

describe("what QEMU 7.2 did with an edu device's messages", () => {
  interface Seen {
    readonly name: string;
    readonly dte: DteValues;
    readonly entry: bigint;
    readonly seen: string;
    readonly fault?: string;
    /** What the specification asks for. */
    readonly strict?: string;
  }
  const forwarded = "0xfee01000 0x4045";
  const seen: readonly Seen[] = [
    { name: "1 IntTabLen 8 entries, index 5", dte: {}, entry: good, seen: forwarded },
    {
      name: "2 IntTabLen 1 entry, index 5",
      dte: { inttablen: 0 },
      entry: good,
      seen: forwarded,
      strict: "indexOutOfRange",
    },
    {
      name: "3 GuestMode=1 while GAEn=0",
      dte: {},
      entry: good | 0x80n,
      seen: "blocked",
      fault: "guestMode",
      strict: "guestMode",
    },
    {
      name: "4 bits 31:24 of the entry set",
      dte: {},
      entry: good | 0xff00_0000n,
      seen: forwarded,
      strict: "entryReserved",
    },
    {
      name: "5 RemapEn=0",
      dte: {},
      entry: good & ~1n,
      seen: "blocked",
      fault: "notEnabled",
      strict: "notEnabled",
    },
    {
      name: "6 IntCtl=00b",
      dte: { intctl: 0 },
      entry: good,
      seen: "blocked",
      fault: "controlAbort",
      strict: "controlAbort",
    },
    {
      name: "7 IntCtl=11b",
      dte: { intctl: 3 },
      entry: good,
      seen: "blocked",
      fault: "controlReserved",
      strict: "controlReserved",
    },
    {
      name: "8 IntCtl=01b",
      dte: { intctl: 1 },
      entry: good,
      seen: "0xfee00000 0x4000",
      strict: "0xfee00000 0x5",
    },
    { name: "9 IV=0", dte: { iv: 0 }, entry: good, seen: "0xfee00000 0x5", strict: "0xfee00000 0x5" },
    { name: "10a once more", dte: {}, entry: good, seen: forwarded },
  ];

  test.each(seen)("$name", ({ dte, entry, seen, fault, strict = forwarded }) => {
    for (const [profile, expected] of [
      [amdviQemu72, seen],
      [amdviStrict, strict],
    ] as const) {
      const bed = testbed(profile);
      bed.device({ inttablen: 3, domainid: 0, ...dte });
      bed.entry(5, irte32, entry);
      const came = outcome(bed, 5);
      expect(came === "blocked" && expected !== "blocked" ? bed.unit.fault?.name : came).toBe(expected);
      if (profile !== amdviQemu72) continue;
      expect(bed.unit.fault?.name).toBe(fault);
      expect(bed.read("EVT_LOG_TAIL")).toBe(0n);
    }
  });

  test("10 the entry edited without INVALIDATE_INTERRUPT_TABLE", () => {
    const bed = testbed(amdviQemu72);
    bed.entry(5, irte32, good);
    expect(outcome(bed, 5)).toBe(forwarded);
    bed.entry(5, irte32, encode(irte32, { remapen: 1, dest: 1, vector: 0x77 }));
    expect(outcome(bed, 5)).toBe("0xfee01000 0x4077");
  });

  test("the first of Linux' messages in its boot", () => {
    const bed = testbed(amdviQemu72, { ga: true });
    bed.device({ inttablen: 9 }, southBridgeIoapic);
    bed.memory.write64(place.interruptTable + 0x20, 0x141n);
    bed.memory.write64(place.interruptTable + 0x28, 0x30n);
    expect(outcome(bed, 2, 0, southBridgeIoapic)).toBe("0xfee01004 0x4030");
  });
});

const wideEntry =
  (values: Parameters<typeof encode<keyof typeof irteRemapped128.fields>>[1]) => (bed: Bed) => {
    bed.entry(5, irteRemapped128, encode(irteRemapped128, { remapen: 1, vector: 0x45, ...values }));
    bed.send(5);
    return bed.fabric.deliveries[0]?.destination ?? bed.unit.fault?.name;
  };

/** A unit that can do what the specification offers, so that the deviation alone makes the difference. */
const able = (profile: AmdviProfile): AmdviProfile => ({
  ...profile,
  efr: amdviStrict.efr,
  efr2: amdviStrict.efr2,
});

describe("a deviation and what the specification asks for", () => {
  interface Case {
    readonly deviation: AmdviDeviation;
    readonly what: string;
    /** Prepares a unit and tells what came of it. */
    readonly run: (bed: Bed) => unknown;
    readonly setup?: Parameters<typeof testbed>[1];
    readonly qemu: unknown;
    readonly strict: unknown;
  }

  const wait = encode(completionWait, {
    opcode: commandCodes.COMPLETION_WAIT,
    i: 1,
    s: 1,
    address: place.store,
    data: 9,
  });
  const cases: readonly Case[] = [
    {
      deviation: "enableIgnored",
      what: "a device table base, and IommuEn at 0",
      setup: null,
      run: (bed) => {
        const before = outcome(bed, 5);
        bed.write("DEV_TAB_BASE", BigInt(place.deviceTable | 511));
        bed.entry(5, irte32, good);
        return [before, outcome(bed, 5)];
      },
      qemu: ["0xfee00000 0x5", "0xfee01000 0x4045"],
      strict: ["0xfee00000 0x5", "0xfee00000 0x5"],
    },
    {
      deviation: "deviceTableUnbounded",
      what: "a device beyond the table's one page",
      setup: { pages: 1 },
      run: (bed) => {
        bed.device({}, 128);
        bed.entry(5, irte32, good);
        return outcome(bed, 5, 0, 128);
      },
      qemu: "0xfee01000 0x4045",
      strict: "blocked",
    },
    {
      deviation: "deviceReservedChecked",
      what: "a device entry with IV=0 and bit 63 set",
      run: (bed) => {
        const entry = encode(dteLayout, { v: 1 }) | (1n << 63n);
        for (let i = 0; i < 4; i++)
          bed.memory.write64(place.deviceTable + 32 * place.device + 8 * i, entry >> BigInt(64 * i));
        return [outcome(bed, 5), bed.events().map((event) => decode(eventGeneric, event).address)];
      },
      qemu: ["blocked", [place.deviceTable + 32 * place.device]],
      strict: ["0xfee00000 0x5", []],
    },
    {
      deviation: "passZeroed",
      what: "IntCtl=01b",
      run: (bed) => {
        bed.device({ intctl: 1 });
        return outcome(bed, 0x8041, 0x1_3008);
      },
      qemu: "0xfee00000 0x4000",
      strict: "0xfee13008 0x8041",
    },
    {
      deviation: "tableUnbounded",
      what: "IntTabLen 15",
      run: (bed) => {
        bed.device({ inttablen: 15 });
        bed.entry(5, irte32, good);
        return outcome(bed, 5);
      },
      qemu: "0xfee01000 0x4045",
      strict: "blocked",
    },
    {
      deviation: "faultsNotLogged",
      what: "RemapEn=0",
      run: (bed) => [bed.send(5), bed.events().length],
      qemu: [Outcome.blocked, 0],
      strict: [Outcome.blocked, 1],
    },
    {
      deviation: "rqEoiAsHint",
      what: "RqEoi",
      run: (bed) => {
        bed.entry(5, irte32, good | 0x20n);
        bed.send(5);
        return bed.fabric.deliveries[0]!.redirectionHint;
      },
      qemu: 1,
      strict: 0,
    },
    {
      deviation: "triggerEdge",
      what: "a level-triggered message",
      run: (bed) => {
        bed.entry(5, irte32, good);
        bed.send(0x8005);
        return bed.fabric.deliveries[0]!.level;
      },
      qemu: 0,
      strict: 1,
    },
    {
      deviation: "smiRefused",
      what: "an SMI",
      run: (bed) => outcome(bed, 0x205),
      qemu: "blocked",
      strict: "0xfee00000 0x205",
    },
    {
      deviation: "unknownRequesterIsIoapic",
      what: "an unknown requester",
      run: (bed) => {
        bed.device({}, southBridgeIoapic);
        bed.entry(5, irte32, good);
        return outcome(bed, 5, 0, unknownRequester);
      },
      qemu: "0xfee01000 0x4045",
      strict: "blocked",
    },
    {
      deviation: "entryUnchecked",
      what: "reserved bits of a 128-bit entry",
      setup: { ga: true },
      run: (bed) => {
        bed.entry(
          5,
          irteRemapped128,
          encode(irteRemapped128, { remapen: 1, dest: 1, vector: 0x45 }) | (1n << 100n),
        );
        return outcome(bed, 5);
      },
      qemu: "0xfee01000 0x4045",
      strict: "blocked",
    },
    {
      deviation: "guestModeRefused",
      what: "a guest-mode entry with guest mode on",
      setup: { ga: true, guestMode: true },
      run: (bed) => {
        bed.entry(
          5,
          irteGuest,
          encode(irteGuest, { remapen: 1, guestmode: 1, root: place.backingPage, vector: 0x45 }),
        );
        return [bed.send(5), bed.unit.fault?.name];
      },
      qemu: [Outcome.blocked, "guestMode"],
      strict: [Outcome.posted, undefined],
    },
    {
      deviation: "typeFromData",
      what: "index 400h in 2048 mode",
      setup: { ga: true, index2048: true },
      run: (bed) => {
        bed.entry(0x400, irteRemapped128, encode(irteRemapped128, { remapen: 1, dest: 1, vector: 0x45 }));
        return outcome(bed, 0x400, 4);
      },
      qemu: "blocked",
      strict: "0xfee01000 0x4045",
    },
    {
      deviation: "xtByCapability",
      what: "a wide destination with XTSup reported and XTEn at 0",
      setup: { ga: true },
      run: wideEntry({ dest: 0x1_0002 }),
      qemu: 0x1_0002,
      strict: "entryReserved",
    },
    {
      deviation: "commandsContinue",
      what: "an unknown command",
      run: (bed) => {
        bed.command(0n, wait);
        return [
          bed.memory.read64(place.store),
          bed.events().map((event) => decode(eventGeneric, event).code),
        ];
      },
      qemu: [9n, [eventCodes.ILLEGAL_COMMAND_ERROR]],
      strict: [0n, [eventCodes.ILLEGAL_COMMAND_ERROR]],
    },
    {
      deviation: "completionInterruptAlways",
      what: "COMPLETION_WAIT while ComWaitIntEn is 0",
      setup: { interrupts: false },
      run: (bed) => {
        bed.command(wait);
        return bed.fabric.messages.length;
      },
      qemu: 1,
      strict: 0,
    },
  ];

  test.each(cases)("$deviation: $what", ({ run, setup = {}, qemu, strict }) => {
    expect(run(testbed(able(amdviQemu111), setup))).toEqual(qemu);
    expect(run(testbed(amdviStrict, setup))).toEqual(strict);
  });

  test.each(cases)("$deviation is what makes the difference", ({ deviation, run, setup = {}, strict }) => {
    const without = amdviQemu111.deviations.filter(
      (other) => other !== deviation && !related[deviation]?.includes(other),
    );
    expect(run(testbed(able({ ...amdviQemu111, deviations: without }), setup))).toEqual(strict);
  });

  /** Deviations that hide what another one would show. */
  const related: Partial<Record<AmdviDeviation, readonly AmdviDeviation[]>> = {
    xtByCapability: ["entryUnchecked"],
  };

  test("every deviation of QEMU's profiles is tried", () => {
    const earlier = ["deviceReservedWide", "eventLogDead", "statusKept"];
    const tried = new Set<string>([...cases.map(({ deviation }) => deviation), ...earlier]);
    for (const { deviations } of amdviProfiles)
      for (const deviation of deviations) expect(tried).toContain(deviation);
    expect(tried).toEqual(new Set(Object.keys(amdviDeviations)));
  });

  test("every deviation has a rule that is an erratum", () => {
    for (const rule of Object.values(amdviDeviations)) expect(ruleOf(rule).force).toBe("erratum");
  });
});

describe("the versions of QEMU", () => {
  test.each([
    ["host access/dirty bits", { had: 1 }],
    ["HPTMode", { hptmode: 1 }],
    ["the guest paging mode", { gpm: 1 }],
  ])("10.0 alone refuses %s in a device table entry", (_, values) => {
    for (const profile of [amdviQemu72, amdviQemu100, amdviQemu111]) {
      const bed = testbed(profile);
      bed.device(values);
      bed.entry(5, irte32, good);
      expect(outcome(bed, 5)).toBe(profile === amdviQemu100 ? "blocked" : "0xfee01000 0x4045");
      expect(bed.unit.fault?.rule).toBe(profile === amdviQemu100 ? "qemu.amdvi.dte-reserved" : undefined);
      expect(bed.events()).toEqual([]);
    }
  });

  test("up to 10.0 log nothing and cannot have ComWaitInt cleared", () => {
    for (const profile of [amdviQemu72, amdviQemu100, amdviQemu111]) {
      const old = profile !== amdviQemu111;
      const bed = testbed(profile);
      bed.command(encode(completionWait, { opcode: commandCodes.COMPLETION_WAIT, i: 1 }), 0n);
      expect(bed.events().map((event) => decode(eventGeneric, event).code)).toEqual(
        old ? [] : [eventCodes.ILLEGAL_COMMAND_ERROR],
      );
      bed.write("STATUS", 0x7fn);
      expect(bed.read("STATUS") & 4n).toBe(old ? 4n : 0n);
    }
  });

  test("log an error in reading the device table", () => {
    const bed = testbed(amdviQemu111);
    bed.memory.injectError(place.deviceTable, 0x1000);
    expect(outcome(bed, 5)).toBe("blocked");
    expect(decode(eventGeneric, bed.events()[0]!).code).toBe(eventCodes.DEV_TAB_HARDWARE_ERROR);
  });

  test("take 8 bits of destination from a 128-bit entry", () => {
    const bed = testbed(amdviQemu72, { ga: true, x2apic: true });
    bed.entry(5, irteRemapped128, encode(irteRemapped128, { remapen: 1, dest: 0x0102_0304, vector: 0x45 }));
    bed.send(5);
    expect(bed.fabric.deliveries[0]!.destination).toBe(4);
  });

  test.each(amdviProfiles)("$name has a name of its own and 128-bit entries", ({ name, efr }) => {
    expect(amdviProfiles.filter((other) => other.name === name).length).toBe(1);
    expect(decode(extendedFeature, efr).gasup).toBe(1);
  });

  test("leave a message alone until remapping is on", () => {
    const bed = testbed(amdviQemu72, null);
    expect(bed.send(0)).toBe(Outcome.passed);
    expect(bed.fabric.messages).toEqual([{ address: BigInt(messageAddress >>> 0), data: 0 }]);
  });
});
