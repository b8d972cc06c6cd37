import { within } from "../../../hardware/call-stack.ts";
import { type AuditCheck, check } from "../check.ts";
import type { AuditedHost } from "../host.ts";
import { type Look, shows } from "../look.ts";
import { releaseOf } from "../naming.ts";

const update =
  "Boot a newer kernel; a distribution's may have the fix under the same number, its changelog tells.";

/** Bugs of posted MSI on the host, which matter where it is on. */
function postedMsiBug(
  part: Pick<AuditCheck, "rule" | "severity" | "why"> & { readonly below: string; readonly title: string },
): AuditCheck {
  const { below, title, ...rest } = part;
  return check({
    ...rest,
    vendor: "intel",
    looksAt: "the kernel's release and command line",
    fix: `${update} Until then boot without intremap=posted_msi.`,
    find({ state: { system }, effects }, look) {
      const { release, commandLine } = system;
      const version = release === undefined ? undefined : releaseOf(release.value);
      if (version === undefined) return look.lacks("the kernel's release");
      if (commandLine === undefined) return look.lacks("the kernel's command line");
      look.at();
      if (effects?.postedMsi.on !== true || !within(version, { from: "6.10", below })) return;
      look.add({
        subject: { kind: "kernel", name: release!.value },
        title,
        evidence: [shows(release!, `Linux ${release!.value}`), shows(commandLine, effects.postedMsi.why)],
      });
    },
  });
}

export const clobberedEntry = postedMsiBug({
  rule: "linux.posted-msi.clobbered-entry",
  severity: "medium",
  below: "6.16",
  title: "This kernel posts interrupts of the host, and may take a posted entry away from its vCPU.",
  why: "A passed-through device's interrupt that the host moves is posted to the host from then on, and the guest waits for it.",
});

export const lostRetrigger = postedMsiBug({
  rule: "linux.posted-msi.retrigger",
  severity: "low",
  below: "6.19",
  title: "This kernel posts interrupts of the host, and cannot send one again.",
  why: "An interrupt that arrives while it is moved to another processor can get lost.",
});

export const remapEnLost = check({
  rule: "linux.amdvi.remapen-lost",
  severity: "medium",
  vendor: "amd",
  looksAt: "the kernel's release, module parameters",
  why: "With AVIC, interrupts of passed-through devices end as IO_PAGE_FAULT with flags 0x0008 as soon as they are posted.",
  fix: "Boot another kernel; until then load kvm_amd with avic=0.",
  find({ state: { system } }, look) {
    const { release, parameters } = system;
    if (release === undefined) return look.lacks("the kernel's release");
    look.at();
    const version = /^5\.(?:8\.(\d{1,3})|9\.0-rc\d)/.exec(release.value);
    if (version === null || (version[1] !== undefined && Number(version[1]) < 8)) return;
    const avic = parameters.get("kvm_amd.avic");
    if (avic !== undefined && !/^[Yy1]/.test(avic.value)) return;
    look.add({
      subject: { kind: "kernel", name: release.value },
      title: "This kernel loses RemapEn of an entry that it switches to guest mode.",
      evidence: [
        shows(release, `Linux ${release.value}`),
        ...(avic === undefined ? [] : [shows(avic, `kvm_amd.avic is ${avic.value.trim()}`)]),
      ],
    });
  },
});

/** A message of the kernel log that stands for itself. */
function said(
  part: Pick<AuditCheck, "rule" | "severity" | "vendor" | "why" | "fix"> & {
    readonly says: Parameters<AuditedHost["says"]>[0];
    readonly flag?: string;
    readonly title: string;
  },
): AuditCheck {
  const { says, flag, title, ...rest } = part;
  return check({
    ...rest,
    looksAt: flag === undefined ? "the kernel log" : "the kernel log, the command line",
    find(host: AuditedHost, look: Look) {
      const { log, system } = host.state;
      if (log === undefined && (flag === undefined || system.commandLine === undefined))
        return look.lacks("the kernel log");
      look.at();
      const lines = host.says(says).map(({ text, origin }) => ({ what: text, origin }));
      const asked =
        flag !== undefined && host.commandLine?.flags[flag] === true
          ? [shows(system.commandLine!, `the command line sets ${flag}`)]
          : [];
      if (lines.length + asked.length === 0) return;
      look.add({ subject: { kind: "host", name: "this host" }, title, evidence: [...lines, ...asked] });
    },
  });
}

export const interruptCacheDisabled = said({
  rule: "linux.amdvi.cache-disabled",
  severity: "low",
  vendor: "amd",
  says: "interrupt-cache-disabled",
  flag: "amd_iommu_irtcachedis",
  title: "Linux does not invalidate interrupt table entries: their cache is taken for disabled.",
  why: "Where the hardware caches them all the same, interrupts go to vectors and processors of before, or to a vCPU that is gone.",
  fix: "Boot without amd_iommu=irtcachedis, unless an erratum of the IOMMU asks for it.",
});

export const snpForbidsPosting = said({
  rule: "linux.amdvi.snp-no-guest-mode",
  severity: "info",
  vendor: "amd",
  says: "guest-mode-forced-off",
  title: "SNP keeps interrupts of passed-through devices from being posted.",
  why: "They are taken by the host and injected, at the cost of an exit each.",
  fix: "Nothing is wrong; without SNP they could be posted.",
});

export const takenOver = said({
  rule: "linux.ir.taken-over",
  severity: "info",
  vendor: "intel",
  says: "remapping-found-on",
  title: "Remapping was on before this kernel started.",
  why: "Devices that still send under the old table's entries meet other ones, or none: expect blocked requests early in the log.",
  fix: "Nothing is wrong after kexec or in a kdump kernel; otherwise ask what ran before.",
});
