import {
  type CommandLine,
  type CommandLineEffects,
  type Effect,
  InputError,
  type Vendor,
  commandLineEffects,
  decodeText,
  readCommandLine,
} from "@intremap/core";
import { readBytes } from "../input.ts";
import { type Io, exitStatus } from "../io.ts";
import { type Paint, paintFor, table, wrap, writeJson } from "../output.ts";

export interface CmdlineFlags {
  readonly vendor: Vendor;
  readonly kernel: string;
  readonly json?: boolean;
}

/**
 * Says what Linux makes of a command line.
 * @throws InputError for a release that is none, or text that cannot be read.
 */
export async function cmdline(args: readonly string[], flags: CmdlineFlags, io: Io): Promise<number> {
  const { vendor, kernel } = flags;
  if (!/^\d{1,3}\.\d{1,3}$/.test(kernel))
    throw new InputError(`--kernel "${kernel}": expected a release of Linux as major.minor, such as 6.12`);
  const line = readCommandLine(await textOf(args, io), kernel);
  const effects = commandLineEffects(line, kernel, vendor);
  if (flags.json === true) writeJson(io, "cmdline", document(line, effects, flags));
  else io.stdout.write(report(line, effects, flags, paintFor(io.stdout, io.env)));
  return exitStatus.clean;
}

async function textOf(args: readonly string[], io: Io): Promise<string> {
  if (args.length === 1 && args[0] === "-") return decodeText(await readBytes("-", io.stdin));
  return args.join(" ");
}

function document(line: CommandLine, effects: CommandLineEffects, { vendor, kernel }: CmdlineFlags): object {
  const each = (value: (effect: Effect) => boolean | string): object =>
    Object.fromEntries(Object.entries(effects).map(([name, effect]) => [name, value(effect as Effect)]));
  return {
    vendor,
    kernel,
    ...each(({ on }) => on),
    reasons: each(({ why }) => why),
    flags: line.flags,
    taken: line.taken,
    ignored: line.ignored,
    init: line.init,
  };
}

const titles: Readonly<Record<keyof CommandLineEffects, string>> = {
  remapping: "interrupt remapping",
  posting: "posting",
  sourceIdChecking: "source-id checking",
  x2apicOptOut: "firmware may opt out of x2APIC",
  postedMsi: "posted MSI on the host",
};

const vendors: Readonly<Record<Vendor, string>> = { intel: "Intel", amd: "AMD" };

function report(
  line: CommandLine,
  effects: CommandLineEffects,
  { vendor, kernel }: CmdlineFlags,
  paint: Paint,
): string {
  const width = Math.max(...Object.values(titles).map(({ length }) => length));
  const indent = " ".repeat(width + 7);
  const rows = (Object.keys(titles) as (keyof CommandLineEffects)[]).map((name) => {
    const { on, why } = effects[name];
    const state = on ? paint("green", "yes") : paint("yellow", "no ");
    return `${titles[name].padEnd(width)}  ${state}  ${wrap(why, indent)}\n`;
  });
  const parts = [`Linux ${kernel} on ${vendors[vendor]} hardware that can do everything\n\n${rows.join("")}`];
  if (line.taken.length > 0) {
    const taken = line.taken.map(({ parameter, item, sets }) => [
      item === null ? parameter : `${parameter}=${item}`,
      Object.entries(sets)
        .map(([flag, value]) => `${flag} = ${value}`)
        .join(", ") || "nothing",
    ]);
    parts.push(table(["taken", "sets"], taken, paint));
  }
  if (line.ignored.length > 0) {
    const ignored = line.ignored.map(({ parameter, item, why }) => [
      item === null ? parameter : `${item} (in ${parameter}=)`,
      why,
    ]);
    parts.push(table(["ignored", "why"], ignored, paint));
  }
  return parts.join("\n");
}
