import { decode } from "../../../spec/codec.ts";
import { printFunction, printRequester } from "../../../spec/requester.ts";
import { extendedCapability } from "../../../spec/vtd/registers.ts";
import { check } from "../check.ts";
import { shows } from "../look.ts";

const host = { kind: "host", name: "this host" } as const;

export const remappingOff = check({
  rule: "linux.ir.not-enabled",
  severity: "medium",
  vendor: null,
  looksAt: "whether the units remap, by registers, kernel, log or command line",
  why: "Any device, and whoever controls one, can write any interrupt of any processor; functions cannot be handed to guests safely.",
  fix: "Take intremap=off and nointremap from the command line, and turn the IOMMU on in the firmware's setup; the kernel log says what else is in the way.",
  find(host_, look) {
    const { remapping, vfio, effects, state } = host_;
    if (remapping === undefined) return look.lacks("whether interrupts are remapped");
    look.at();
    // With functions in users' hands it is more than that: linux.vfio.isolated.
    if (remapping.on || vfio.evidence.length > 0) return;
    const { commandLine } = state.system;
    look.add({
      subject: host,
      title: "Interrupts are not remapped.",
      evidence: [
        ...remapping.evidence,
        ...(commandLine !== undefined && effects?.remapping.on === false
          ? [shows(commandLine, effects.remapping.why)]
          : []),
        ...host_.says("not-enabled").map(({ text, origin }) => ({ what: text, origin })),
      ],
    });
  },
});

export const vfioWithoutRemapping = check({
  rule: "linux.vfio.isolated",
  severity: "high",
  vendor: null,
  looksAt: "drivers of functions and names of interrupts, and whether the units remap",
  why: "The user of a function that is handed out can have it write any interrupt to the host, and stop or take it over.",
  fix: "Take the functions back from VFIO until interrupt remapping is on.",
  find({ remapping, vfio, state }, look) {
    if (state.devices.length === 0 && state.interrupts.length === 0)
      return look.lacks("which drivers the functions have");
    if (vfio.evidence.length > 0 && remapping === undefined)
      return look.lacks("whether interrupts are remapped");
    look.at(state.devices.length + state.interrupts.length);
    if (vfio.evidence.length === 0 || remapping?.on !== false) return;
    look.add({
      subject: host,
      title: "Functions are handed to users while interrupts are not remapped.",
      evidence: [...vfio.evidence, ...remapping.evidence],
    });
  },
});

const unsafeParameters = ["vfio_iommu_type1.allow_unsafe_interrupts", "iommufd.allow_unsafe_interrupts"];

export const unsafeInterrupts = check({
  rule: "linux.vfio.unsafe-interrupts",
  severity: "medium",
  vendor: null,
  looksAt: "allow_unsafe_interrupts of vfio_iommu_type1 and iommufd, in sysfs and on the command line",
  why: "Should remapping not come up at the next start, functions are handed out all the same, and nobody is told.",
  fix: "Take allow_unsafe_interrupts from modprobe.d and the command line, and write N to the module parameter in sysfs.",
  find({ state: { system }, remapping }, look) {
    const { parameters, commandLine } = system;
    if (parameters.size === 0) look.lacks("module parameters");
    if (parameters.size > 0 || commandLine !== undefined) look.at();
    for (const name of unsafeParameters) {
      const parameter = parameters.get(name);
      const asked = onCommandLine(commandLine?.value ?? "", name);
      if (parameter === undefined ? asked === undefined : !/^[Yy1]/.test(parameter.value)) continue;
      look.add({
        subject: { kind: "kernel", name },
        severity: remapping?.on === false ? "high" : "medium",
        title: `${name} is on.`,
        evidence: [
          parameter === undefined
            ? shows(commandLine!, asked!)
            : shows(parameter, `${name} is ${parameter.value.trim()}`),
        ],
      });
    }
  },
});

/** The item of a command line that turns a module's parameter on; the module takes it when it is loaded. */
function onCommandLine(line: string, name: string): string | undefined {
  const on = /^(?:1|y|on)/i;
  return line.split(/\s+/).findLast((item) => {
    const [key, value] = item.split("=", 2);
    return key!.replaceAll("-", "_") === name && (value === undefined || on.test(value));
  });
}

export const sourceIdsUnchecked = check({
  rule: "linux.ir.nosid",
  severity: "high",
  vendor: "intel",
  looksAt: "the command line, the kernel's variables",
  why: "Every entry takes interrupts from every function: one guest can send another's, and VFIO does not notice.",
  fix: "Take nosid from intremap=; a device that needs it is to be named to its maker, not trusted.",
  find({ state: { system }, effects }, look) {
    const { commandLine, variables } = system;
    const variable = variables?.value.get("disable_sourceid_checking");
    if (variable === undefined && effects === undefined) return look.lacks("the kernel's command line");
    look.at();
    const evidence = [
      ...(effects?.sourceIdChecking.on === false ? [shows(commandLine!, effects.sourceIdChecking.why)] : []),
      ...(variable === 1 ? [shows(variables!, "disable_sourceid_checking is 1")] : []),
    ];
    if (evidence.length === 0) return;
    look.add({ subject: host, title: "Source ids are not checked: intremap=nosid.", evidence });
  },
});

export const unitsThatCannotRemap = check({
  rule: "linux.ir.all-units",
  severity: "high",
  vendor: "intel",
  looksAt: "ECAP.IR of each unit",
  why: "Linux then remaps no interrupt of the whole host, and does not say why.",
  fix: "Update the firmware, or turn the device off that the unit stands before.",
  find({ vtdUnits }, look) {
    if (vtdUnits.length === 0) return look.lacks("remapping units");
    for (const { name, extendedCapability: ecap } of vtdUnits) {
      if (ecap === undefined) {
        look.lacks(`ECAP of ${name}`);
        continue;
      }
      look.at();
      if (decode(extendedCapability, ecap.value).ir === 1) continue;
      look.add({
        subject: { kind: "unit", name },
        title: `${name} cannot remap interrupts: ECAP.IR is 0.`,
        evidence: [shows(ecap, `ECAP of ${name} is 0x${ecap.value.toString(16)}`)],
      });
    }
  },
});

export const unitsWithoutExtendedMode = check({
  rule: "linux.ir.extended-mode",
  severity: "info",
  vendor: "intel",
  looksAt: "ECAP.EIM of each unit, the flags of the processors",
  why: "The processors can do x2APIC and have to stay in xAPIC mode: at most 255 of them.",
  fix: "Nothing is wrong; hardware or a hypervisor with EIM would lift the limit.",
  find({ vtdUnits, state: { system } }, look) {
    const { flags } = system;
    if (vtdUnits.length === 0) return look.lacks("remapping units");
    if (flags === undefined) return look.lacks("the flags of the processors");
    for (const { name, extendedCapability: ecap } of vtdUnits) {
      if (ecap === undefined) {
        look.lacks(`ECAP of ${name}`);
        continue;
      }
      look.at();
      if (decode(extendedCapability, ecap.value).eim === 1 || !flags.value.has("x2apic")) continue;
      look.add({
        subject: { kind: "unit", name },
        title: `${name} has no 32-bit destinations (ECAP.EIM is 0), so x2APIC mode is not used.`,
        evidence: [
          shows(ecap, `ECAP of ${name} is 0x${ecap.value.toString(16)}`),
          shows(flags, "the processors have x2apic"),
        ],
      });
    }
  },
});

const bridges: ReadonlySet<number> = new Set([0x3403, 0x3405, 0x3406]);

export const chipsetErratum = check({
  rule: "linux.ir.chipset-erratum",
  severity: "high",
  vendor: "intel",
  looksAt: "ids and revisions of host bridges, the kernel log",
  why: "Interrupt remapping of this chipset loses interrupts; Linux leaves it off, so functions cannot be handed out safely.",
  fix: "Use other hardware for passthrough; the revision cannot be mended by firmware.",
  find(audited, look) {
    const { devices } = audited.state;
    const said = audited.says("chipset-erratum");
    const hostBridges = devices.filter(
      ({ vendorId, deviceId }) => vendorId !== undefined && deviceId !== undefined,
    );
    if (hostBridges.length === 0 && said.length === 0) return look.lacks("ids of PCI functions");
    let named = false;
    for (const { segment, requester, vendorId, deviceId, config } of hostBridges) {
      look.at();
      if (vendorId!.value !== 0x8086 || !bridges.has(deviceId!.value)) continue;
      const name = printFunction({ segment, requester });
      const revision = config?.value[8];
      if (revision === undefined) {
        look.lacks(`revision of ${name}`);
        continue;
      }
      if (revision > 0x13 && !(deviceId!.value === 0x3405 && revision === 0x22)) continue;
      named = true;
      look.add({
        subject: { kind: "device", name },
        title: `The chipset cannot remap interrupts: host bridge 8086:${deviceId!.value.toString(16)} revision ${revision.toString(16)}h at ${printRequester(requester)}.`,
        evidence: [
          shows(deviceId!, `${name} is 8086:${deviceId!.value.toString(16)}`),
          shows(config!, `its revision is ${revision.toString(16)}h`),
          ...said.map(({ text, origin }) => ({ what: text, origin })),
        ],
      });
    }
    if (named) return;
    for (const { text, origin } of said) {
      look.at();
      look.add({ subject: host, title: `The kernel says: ${text}.`, evidence: [{ what: text, origin }] });
    }
  },
});
