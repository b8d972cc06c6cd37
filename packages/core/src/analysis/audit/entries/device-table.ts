import type { AmdviUnitState } from "../../../evidence/host/unit.ts";
import { IntCtl, dte, maxIntTabLen } from "../../../spec/amdvi/dte.ts";
import { decode } from "../../../spec/codec.ts";
import type { RuleId } from "../../../spec/rules.ts";
import { printFunction, printRequester } from "../../../spec/requester.ts";
import { busesBehind } from "../../host/bridges.ts";
import { aliasesOf } from "../claims.ts";
import { check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import { type Look, shows } from "../look.ts";
import { remaps } from "../message.ts";
import { deviceSubject, listed } from "../naming.ts";

/** An entry of the device table, most significant quarter first, as devtbl prints it. */
function printDte(value: bigint): string {
  return [192n, 128n, 64n, 0n]
    .map((shift) =>
      BigInt.asUintN(64, value >> shift)
        .toString(16)
        .padStart(16, "0"),
    )
    .join(" ");
}

interface Verdict {
  readonly rule: RuleId;
  readonly severity: "medium" | "high";
  readonly title: string;
}

function verdictOf(value: bigint, name: string): Verdict | undefined {
  const { iv, intctl, inttablen } = decode(dte, value);
  if (iv === 0)
    return {
      rule: "amdvi.ir.map-invalid",
      severity: "high",
      title: `Interrupts of ${name} pass unchanged: IV of its device table entry is 0.`,
    };
  if (Number(inttablen) > maxIntTabLen)
    return {
      rule: "amdvi.dte.inttablen",
      severity: "medium",
      title: `The device table entry of ${name} is illegal: IntTabLen is ${inttablen}.`,
    };
  if (intctl === IntCtl.pass)
    return {
      rule: "amdvi.ir.intctl-pass",
      severity: "high",
      title: `Interrupts of ${name} pass unchanged: IntCtl of its device table entry is 01b.`,
    };
  if (intctl === IntCtl.abort)
    return {
      rule: "amdvi.ir.intctl-abort",
      severity: "medium",
      title: `Interrupts of ${name} are aborted: IntCtl of its device table entry is 00b.`,
    };
  if (intctl === IntCtl.reserved)
    return {
      rule: "amdvi.dte.intctl-reserved",
      severity: "medium",
      title: `The device table entry of ${name} is illegal: IntCtl is 11b.`,
    };
  return undefined;
}

function unitsWithDevices({ amdviUnits }: AuditedHost, look: Look): readonly AmdviUnitState[] {
  if (amdviUnits.length === 0) look.lacks("remapping units");
  for (const { name, devices } of amdviUnits)
    if (devices === undefined) look.lacks(`the device table of ${name}`);
  return amdviUnits.filter(({ devices }) => devices !== undefined);
}

/** The host's functions behind a unit whose device table is known, each with that unit and table. */
function* devicesInTables(
  host: AuditedHost,
  look: Look,
): Generator<{
  readonly device: DeviceOf;
  readonly unit: AmdviUnitState;
  readonly table: NonNullable<AmdviUnitState["devices"]>;
}> {
  const units = unitsWithDevices(host, look);
  for (const device of host.state.devices) {
    const unit = host.links.unitOf(device);
    if (unit?.vendor === "amd" && units.includes(unit)) yield { device, unit, table: unit.devices! };
  }
}

export const deviceTableEntries = check({
  rule: "amdvi.ir.map-invalid",
  also: ["amdvi.ir.intctl-pass", "amdvi.ir.intctl-abort", "amdvi.dte.inttablen", "amdvi.dte.intctl-reserved"],
  severity: "high",
  vendor: "amd",
  looksAt: "interrupt fields of device table entries of functions whose MSI or MSI-X is on",
  why: "A device whose messages pass unchanged can write any interrupt; one whose messages are aborted has none.",
  fix: "Unbind and bind the driver of the device; then find out who writes the device table besides the kernel.",
  find(host, look) {
    for (const { device, unit, table } of devicesInTables(host, look)) {
      if (!sendsMessages(device) || device.requester === unit.requester?.value) continue;
      if (host.links.remappingOn(unit)?.value === false) continue;
      look.at();
      const value = table.value.get(device.requester) ?? 0n;
      const verdict = verdictOf(value, printFunction(device));
      if (verdict === undefined) continue;
      look.add({
        ...verdict,
        subject: deviceSubject(device),
        evidence: [shows(table, `its device table entry is ${printDte(value)}`)],
      });
    }
  },
});

/** Whether a function's MSI or MSI-X is on: by its capabilities, or as the kernel has it. */
function sendsMessages({ msi, msix, signals }: DeviceOf): boolean {
  if (msi?.value.enabled === true || msix?.value.enabled === true) return true;
  return signals !== undefined && signals.value !== "none";
}

const passes = [
  ["initpass", "INIT"],
  ["extintpass", "ExtINT"],
  ["nmipass", "NMI"],
] as const;

export const passedTypes = check({
  rule: "amdvi.ir.type-passes",
  severity: "low",
  vendor: "amd",
  looksAt: "INITPass, ExtIntPass and NMIPass of device table entries of the host's functions",
  why: "The device, or whoever controls it, can reset processors or interrupt them past every mask.",
  fix: "Do not hand this function out; the IVRS asks for it, so only other firmware changes it.",
  find(host, look) {
    for (const { device, table } of devicesInTables(host, look)) {
      const value = table.value.get(device.requester);
      if (value === undefined) continue;
      look.at();
      const fields = decode(dte, value);
      const open = passes.filter(([field]) => fields[field] === 1).map(([, name]) => name);
      // The function with the legacy bridge is where firmware needs them.
      if (open.length === 0 || device.classCode?.value === 0x06_01_00) continue;
      look.add({
        subject: deviceSubject(device),
        title: `${printFunction(device)} may send ${open.join(" and ")}.`,
        evidence: [shows(table, `its device table entry is ${printDte(value)}`)],
      });
    }
  },
});

export const sharedTables = check({
  rule: "audit.dte.table-shared",
  severity: "high",
  vendor: "amd",
  looksAt: "interrupt tables of device table entries",
  why: "Each of the functions can send the interrupts of the others.",
  fix: "Find out who writes the device table besides the kernel, which shares a table among aliases only.",
  find(host, look) {
    const { links, state } = host;
    const units = unitsWithDevices(host, look);
    for (const unit of units) {
      const users = new Map<bigint, number[]>();
      for (const [requester, value] of unit.devices!.value) {
        const { inttableptr } = decode(dte, value);
        if (!remaps(value)) continue;
        look.at();
        const at = users.get(BigInt(inttableptr));
        if (at === undefined) users.set(BigInt(inttableptr), [requester]);
        else at.push(requester);
      }
      for (const [table, requesters] of users) {
        const devices = state.devices.filter(
          (device) =>
            links.unitOf(device) === unit &&
            requesters.includes(device.requester) &&
            // A bridge sends what is behind it under its own id.
            (busesBehind(device) ?? null) === null,
        );
        const [first, ...others] = devices;
        const strangers = others.filter((other) => !alike(host, first!, other));
        if (first === undefined || strangers.length === 0) continue;
        const names = [first, ...strangers].map(({ segment, requester }) =>
          printFunction({ segment, requester }),
        );
        look.add({
          subject: { kind: "table", name: `the table at 0x${table.toString(16)} of ${unit.name}` },
          title: `${listed(names)} use one interrupt table, and are no aliases of each other.`,
          evidence: [first, ...strangers].map(({ requester }) =>
            shows(
              unit.devices!,
              `the device table entry of ${printRequester(requester)} is ${printDte(unit.devices!.value.get(requester)!)}`,
            ),
          ),
        });
      }
    }
  },
});

/** Whether requests of two functions may carry one id: behind one bridge, or functions of one device in one group. */
function alike({ links }: AuditedHost, left: DeviceOf, right: DeviceOf): boolean {
  const ids = new Set(aliasesOf(links, left));
  if (aliasesOf(links, right).some((id) => ids.has(id))) return true;
  const sameDevice = left.segment === right.segment && left.requester >>> 3 === right.requester >>> 3;
  return sameDevice && left.group !== undefined && left.group.value === right.group?.value;
}

type DeviceOf = AuditedHost["state"]["devices"][number];
