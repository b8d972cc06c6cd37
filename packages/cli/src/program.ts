import { InputError } from "@intremap/core";
import { Command, CommanderError, Option } from "commander";
import { type Io, exitStatus } from "./io.ts";
import { version } from "./manifest.ts";

function bit(flag: string, meaning: string): Option {
  return new Option(`--${flag} <bit>`, meaning).choices(["0", "1"]);
}

/** What a host is read from. */
function fromOption(): Option {
  return new Option(
    "--from <source>",
    "live, a directory, a tarball, a vmcore, a trace or pasted text; - for standard input",
  ).default("live");
}

/** The command line. A command's module is loaded when it is called; its exit status goes to `finish`. */
function program(io: Io, finish: (status: number) => void): Command {
  const root = new Command("intremap")
    .description("The path of an x86 interrupt, by the book: explain, decode and replay interrupt remapping.")
    .version(version())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: () => {},
    });

  root
    .command("decode")
    .description(
      "print the fields of an entry, descriptor, register, message or table, and the rules it breaks",
    )
    .argument("<kind>", "what the value is; an unknown kind lists them all")
    .argument(
      "<value...>",
      "hexadecimal, as the kernel prints it; for a table its file, - for standard input",
    )
    .addOption(new Option("--names <whose>", "names of fields").choices(["spec", "linux"]).default("spec"))
    .addOption(bit("eime", "IRTA.EIME: 32-bit destinations"))
    .addOption(bit("pi", "CAP.PI: the unit can post"))
    .addOption(bit("xten", "AMD Control.XTEn: 32-bit destinations"))
    .option("--json", "print one JSON document")
    .action(async (kind: string, values: string[], options: object) => {
      const { decode } = await import("./commands/decode.ts");
      finish(await decode(kind, values, options, io));
    });

  root
    .command("explain")
    .description("say what a kernel, Xen or QEMU message, a table row or an MSI means and what to do next")
    .argument("[text...]", "the text; - or nothing reads standard input")
    .option("--json", "print one JSON document")
    .action(async (text: string[], options: object) => {
      const { explain } = await import("./commands/explain.ts");
      finish(await explain(text, options, io));
    });

  root
    .command("cmdline")
    .description(
      "say what Linux makes of intremap=, intel_iommu=, amd_iommu=, iommu=, nointremap and the like",
    )
    .argument("<line...>", "a kernel command line, or parameters of one; - reads standard input")
    .addOption(new Option("--vendor <vendor>", "whose IOMMU").choices(["intel", "amd"]).default("intel"))
    .addOption(new Option("--kernel <release>", "release of Linux, as 6.12").default("7.0"))
    .option("--json", "print one JSON document")
    .action(async (line: string[], options: { vendor: "intel" | "amd"; kernel: string; json?: boolean }) => {
      const { cmdline } = await import("./commands/cmdline.ts");
      finish(await cmdline(line, options, io));
    });

  root
    .command("run")
    .description(
      "run a scenario: a whole machine, from the device that interrupts to the CPU or vCPU that takes it",
    )
    .argument("[scenario]", "a name or a YAML file, - for standard input; nothing lists the scenarios")
    .argument("[options...]", "the scenario's own options, as --vectors 66")
    .option("--stacks [symbol]", "count the call stacks with which a function is entered")
    .option("--timeline <file>", "write a Perfetto trace")
    .option("--compare <other>", "run another scenario, or a variant of this one, beside it")
    .option("--json", "print one JSON document")
    .allowUnknownOption()
    .action(async (scenario: string | undefined, rest: string[], options: object) => {
      const { run: runCommand } = await import("./commands/run.ts");
      finish(await runCommand(scenario, rest, options, io));
    });

  root
    .command("replay")
    .description("send every interrupt of a QEMU trace through the model and compare what comes out")
    .argument("<trace>", "a trace log, plain, gzip, xz or zstd; - for standard input")
    .option("--profile <name>", "hardware profile (default: the newest QEMU of the trace's vendor)")
    .option("--follow [n]", "show one request step by step: its number, line:N, or the one that shows most")
    .option("--json", "print one JSON document")
    .action(async (trace: string, options: object) => {
      const { replay } = await import("./commands/replay.ts");
      finish(await replay(trace, options, io));
    });

  root
    .command("check")
    .description("say what real hardware could have done wrong with the driver in a QEMU trace")
    .argument("<trace>", "a trace log, plain, gzip, xz or zstd; - for standard input")
    .option("--profile <name>", "hardware profile (default: the strict one of the trace's vendor)")
    .option(
      "--sarif <file>",
      "write the hazards as SARIF 2.1.0; - for standard output, instead of the report",
    )
    .option("--json", "print one JSON document")
    .action(async (trace: string, options: object) => {
      const { check } = await import("./commands/check.ts");
      finish(await check(trace, options, io));
    });

  const verify = root
    .command("verify")
    .description("explore every interleaving of interrupt posting, vCPUs and their scheduler")
    .addOption(new Option("--vendor <vendor>", "whose posting").choices(["intel", "amd"]).default("intel"));
  for (const [size, meaning] of [
    ["vcpus", "vCPUs of one VM (default: 1)"],
    ["cpus", "CPUs (default: 2)"],
    ["posts", "interrupts that are posted (default: 2)"],
    ["preemptions", "of each vCPU (default: 1)"],
    ["halts", "of each vCPU (default: 1)"],
    ["migrations", "of each vCPU (default: 1)"],
  ] as const) {
    verify.option(`--${size} <n>`, meaning);
  }
  verify
    .option("--play <name>", "what races beside vCPUs (default: every play that goes by default)")
    .option("--without <step>", "leave one step of the protocol out")
    .option("--list", "list the steps that can be left out, and the plays")
    .option("--timeline <file>", "write the counterexample as a Perfetto trace")
    .option("--workers <n>", "threads (default: one for each processor)")
    .option("--memory <size>", "what each play's states may take, as 512M (default: 4G)")
    .option("--states <n>", "states of each play after which to give up")
    .option("--json", "print one JSON document")
    .action(async (options: object) => {
      const { verify: verifyCommand } = await import("./commands/verify.ts");
      finish(await verifyCommand(options as Parameters<typeof verifyCommand>[0], io));
    });

  root
    .command("conform")
    .description(
      "run the corpus and generated cases on a real QEMU and on the model, and say where they differ",
    )
    .addOption(
      new Option("--target <machine>", "what is compared with the model").choices(["qemu"]).default("qemu"),
    )
    .addOption(
      new Option("--vendor <vendor>", "whose IOMMU").choices(["intel", "amd", "both"]).default("both"),
    )
    .option("--qemu <path>", "the QEMU to run, 7.2 or 10.0 and newer", "qemu-system-x86_64")
    .option("--cases <n>", "how many cases are generated for each vendor", "20000")
    .option("--seed <n>", "what they are generated from, 32 bits", "1")
    .option("--no-corpus", "leave the corpus out")
    .option(
      "--workers <n>",
      "threads, each with a QEMU of its own (default: one for each processor, at most 8)",
    )
    .option("--page <file>", "write the deviations that were seen as a Markdown page")
    .option("--json", "print one JSON document")
    .action(async (options: object) => {
      const { conform } = await import("./commands/conform.ts");
      finish(await conform(options as Parameters<typeof conform>[0], io));
    });

  root
    .command("map")
    .description("every interrupt of a machine in one table: device, entry, remapped or posted, destination")
    .addOption(fromOption())
    .option("-o, --columns <list>", "columns, comma-separated; an unknown one lists them all")
    .option("--sort <column>", "order by a column; -column turns it round")
    .option("--device <name>", "only what this device sends: bb:dd.f, ssss:bb:dd.f, ioapic0")
    .option("--irq <n>", "only this interrupt of Linux")
    .option("--unit <name>", "only what goes through this unit: dmar0, ivhd0")
    .option("--all", "also interrupts that nobody uses")
    .option("--json", "print one JSON document")
    .action(async (options: object) => {
      const { map } = await import("./commands/map.ts");
      finish(await map(options as Parameters<typeof map>[0], io));
    });

  root
    .command("follow")
    .description("the path of one interrupt on a machine, step by step, and what would become of it now")
    .argument(
      "<subject...>",
      "01:00.0, 01:00.0:3 (its vector 3), irq 38, dmar0:22 (an entry), 4711/0 (VM/vCPU)",
    )
    .addOption(fromOption())
    .option("--json", "print one JSON document")
    .action(async (subject: string[], options: object) => {
      const { follow } = await import("./commands/follow.ts");
      finish(await follow(subject, options as Parameters<typeof follow>[1], io));
    });

  root
    .command("audit")
    .description("look for what is wrong with a host's interrupt remapping, and say what to do about it")
    .addOption(fromOption())
    .addOption(
      new Option("--fail-on <severity>", "exit with 1 when a finding is at least so grave")
        .choices(["info", "low", "medium", "high", "never"])
        .default("medium"),
    )
    .addOption(
      new Option("--format <format>", "what to print (default: text)").choices([
        "text",
        "json",
        "sarif",
        "markdown",
      ]),
    )
    .option("--json", "print one JSON document")
    .action(async (options: object) => {
      const { audit } = await import("./commands/audit.ts");
      finish(await audit(options as Parameters<typeof audit>[0], io));
    });

  root
    .command("metrics")
    .description("a machine's posted vectors, faults, entries and vectors as a Prometheus text file")
    .addOption(fromOption())
    .option("--out <file>", "write it there in one step, for node_exporter's textfile collector")
    .action(async (options: object) => {
      const { metrics } = await import("./commands/metrics.ts");
      finish(await metrics(options as Parameters<typeof metrics>[0], io));
    });

  root
    .command("collect")
    .description("print a shell script that packs what map, follow and audit want of a host without Node")
    .action(async () => {
      const { collect } = await import("./commands/collect.ts");
      finish(collect(io));
    });

  root
    .command("serve")
    .description("open the workbench in a browser, on this machine alone, with a host to look at")
    .addOption(fromOption())
    .option("--port <n>", "the port on 127.0.0.1 (default: one that is free)", "0")
    .option("--no-open", "start no browser: the address is printed in any case")
    .option("--json", "print the address as one JSON document")
    .action(async (options: object) => {
      const { serve } = await import("./commands/serve.ts");
      finish(await serve(options as Parameters<typeof serve>[0], io));
    });

  root
    .command("report")
    .description("write the workbench with a host or a scenario in it as one HTML file, for a ticket")
    .argument("<subject>", "what map reads with --from, or a scenario's name or YAML file")
    .argument("[options...]", "the scenario's own options, as --vectors 66")
    .requiredOption("--html <file>", "the file to write; - for standard output")
    .option("--compare <other>", "show another scenario, or a variant of this one, beside it")
    .option("--json", "print one JSON document")
    .allowUnknownOption()
    .action(async (subject: string, rest: string[], options: object) => {
      const { report } = await import("./commands/report.ts");
      finish(await report(subject, rest, options as Parameters<typeof report>[2], io));
    });

  return root;
}

/** Runs one command line, without the names of node and of the program. Every error is one line on stderr. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let status: number = exitStatus.clean;
  const finish = (code: number): void => {
    status = code;
  };
  const root = program(io, finish);
  try {
    await root.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitStatus.clean;
    io.stderr.write(`intremap: ${messageOf(error)}${adviceOn(error, root, args)}\n`);
    return exitStatus.unusable;
  }
}

/** Where a host's source was given as an argument: how it is given. */
function adviceOn(error: unknown, root: Command, args: readonly string[]): string {
  if (!(error instanceof CommanderError) || error.code !== "commander.excessArguments") return "";
  const called = root.commands.find((command) => command.name() === args[0]);
  const readsHost = called?.options.some(({ long }) => long === "--from") === true;
  return readsHost ? " What a host is read from is given with --from." : "";
}

function messageOf(error: unknown): string {
  if (error instanceof CommanderError && error.code === "commander.help") {
    return "a command is missing: expected decode, explain, cmdline, run, map, follow, audit, metrics, collect, replay, check, verify, conform, serve or report; --help says more";
  }
  const { message } = error as Error;
  const line = message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ");
  return error instanceof InputError || error instanceof CommanderError ? line : `unexpected error: ${line}`;
}
