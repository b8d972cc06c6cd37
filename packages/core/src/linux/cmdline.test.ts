import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type KernelParameters, parseCommandLine } from "./cmdline.ts";
import { readCommandLine } from "./cmdline/command-line.ts";
import { type Vendor, effectsOf } from "./cmdline/effects.ts";

const defaults = parseCommandLine("", "7.0");

/** What differs from the defaults. */
function set(text: string, release = "7.0"): Partial<KernelParameters> {
  return Object.fromEntries(
    Object.entries(parseCommandLine(text, release)).filter(
      ([name, value]) => value !== defaults[name as keyof KernelParameters],
    ),
  );
}

/** Facts 5.2 once more, as plainly as can be. */
function reference(values: readonly string[]): Partial<KernelParameters> {
  const flags = { remap: false, post: false, sid: false, optout: false, msi: false };
  for (const item of values.join(",").split(",")) {
    if (item.startsWith("on")) flags.remap = flags.post = false;
    else if (item.startsWith("off")) flags.remap = flags.post = true;
    else if (item.startsWith("nosid")) flags.sid = true;
    else if (item.startsWith("no_x2apic_optout")) flags.optout = true;
    else if (item.startsWith("nopost")) flags.post = true;
    else if (item.startsWith("posted_msi")) flags.msi = true;
  }
  return {
    disableIrqRemap: flags.remap,
    disableIrqPost: flags.post,
    disableSourceidChecking: flags.sid,
    noX2apicOptout: flags.optout,
    enablePostedMsi: flags.msi,
  };
}

/** Compares strings by their code units. */
function inOrder(left: string | null, right: string | null): number {
  return left! < right! ? -1 : Number(left !== right);
}

/** What is in effect, without the reasons. */
function effects(text: string, vendor: Vendor = "intel", release = "7.0"): Record<string, boolean> {
  return Object.fromEntries(
    Object.entries(effectsOf(readCommandLine(text, release), release, vendor)).map(([name, effect]) => [
      name,
      (effect as { on: boolean }).on,
    ]),
  );
}

describe("intremap=", () => {
  test("without it interrupts are remapped and posted, sources checked and the firmware heard", () => {
    expect(defaults).toEqual({
      disableIrqRemap: false,
      disableIrqPost: false,
      disableSourceidChecking: false,
      noX2apicOptout: false,
      enablePostedMsi: false,
      x2apicPhys: false,
      noX2apic: false,
      skipIoapicSetup: false,
      amdIommuDisabled: false,
      amdIommuIntr: "vapic",
      amdIrtCacheDisabled: false,
      allowUnsafeInterrupts: false,
      iommufdAllowUnsafeInterrupts: false,
      enableDevicePostedIrqs: true,
      enableApicv: true,
      vectorHashing: true,
    });
  });

  const remapOff = { disableIrqRemap: true };
  const postOff = { disableIrqPost: true };
  const bothOff = { ...remapOff, ...postOff };

  test.each<[string, Partial<KernelParameters>]>([
    ["intremap=off", bothOff],
    ["intremap=offline", bothOff],
    ["intremap=off,on", {}],
    ["intremap=only", {}],
    ["intremap=off,onfoo", {}],
    ["intremap=nopost2", postOff],
    ["intremap=nopost,on", {}],
    ["intremap=on,nopost", postOff],
    ["intremap=nosid,on", { disableSourceidChecking: true }],
    ["intremap=no_x2apic_optout,on", { noX2apicOptout: true }],
    ["intremap=posted_msi,on", { enablePostedMsi: true }],
    ["intremap=no_x2apic_optou", {}],
    ["intremap=posted-msi", {}],
    ["intremap=foo", {}],
    ["intremap=OFF", {}],
    ['intremap=" off"', {}],
    ['intremap="foo, off"', {}],
    ["intremap=,,off,,", bothOff],
    ["intremap=off intremap=on", {}],
    ["intremap=nosid intremap=off", { ...bothOff, disableSourceidChecking: true }],
    ["intremap", {}],
    ["intremap=", {}],
    ["intremap_=off", {}],
    ["nointremap", remapOff],
    ["nointremap=0", remapOff],
    ["nointremap intremap=on", {}],
    ["intremap=on nointremap", remapOff],
    ["intremap=nopost nointremap", bothOff],
    ["quiet -- intremap=off", {}],
    ["no-intremap", {}],
  ])("%s", (text, expected) => {
    expect(set(text)).toEqual(expected);
  });

  test("posted_msi is known from 6.10 on, nopost and posting from 4.2 on", () => {
    expect(set("intremap=posted_msi", "6.9")).toEqual({});
    expect(set("intremap=posted_msi", "6.10")).toEqual({ enablePostedMsi: true });
    expect(set("intremap=posted_msi", "10.0")).toEqual({ enablePostedMsi: true });
    expect(set("intremap=nopost", "4.1")).toEqual({});
    expect(set("intremap=off", "4.1")).toEqual({ disableIrqRemap: true });
    expect(readCommandLine("intremap=on", "4.1").flags).not.toHaveProperty("disable_irq_post");
  });

  const words = ["on", "off", "nosid", "no_x2apic_optout", "nopost", "posted_msi", "no", "o", "foo", ""];
  const item = fc.tuple(
    fc.constantFrom("", "", "", "x"),
    fc.constantFrom(...words),
    fc.constantFrom("", "", "1"),
  );
  const value = fc.array(
    item.map((parts) => parts.join("")),
    { maxLength: 6 },
  );

  test("any items, over any number of parameters, come out as the facts say", () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 4 }), (values) => {
        const texts = values.map((items) => items.join(","));
        const line = texts.map((text) => `quiet intremap=${text}`).join(" ");
        expect(parseCommandLine(line, "7.0")).toMatchObject(reference(texts));
      }),
      { numRuns: 1000 },
    );
  });

  test("every item is either taken or ignored, and posted MSI never goes without posting, nor posting without remapping", () => {
    fc.assert(
      fc.property(value, fc.constantFrom<Vendor>("intel", "amd"), (items, vendor) => {
        const line = readCommandLine(`intremap=${items.join(",")}`, "7.0");
        const named = items.filter((one) => one !== "");
        const found = [...line.taken, ...line.ignored].map((one) => one.item);
        expect(found.toSorted(inOrder)).toEqual(named.toSorted(inOrder));
        const { remapping, posting, postedMsi } = effectsOf(line, "7.0", vendor);
        expect(posting.on && !remapping.on).toBe(false);
        expect(postedMsi.on && !posting.on).toBe(false);
      }),
    );
  });
});

describe("other parameters", () => {
  test.each<[string, Partial<KernelParameters>, string?]>([
    ["x2apic_phys", { x2apicPhys: true }],
    ["x2apic-phys", { x2apicPhys: true }],
    ["nox2apic", { noX2apic: true }],
    ["noapic", { skipIoapicSetup: true }],
    ["intel_iommu=off", {}],
    ["intel_iommu=on,sm_on,igfx_off,strict,forcedac,tboot_noforce", {}],
    ["amd_iommu=off", { amdIommuDisabled: true }],
    ["amd-iommu=off", { amdIommuDisabled: true }],
    ["amd_iommu=on", {}],
    ["amd_iommu=fullflush,off", { amdIommuDisabled: true }],
    ["amd_iommu=x_off", {}],
    ["amd_iommu=x_off", { amdIommuDisabled: true }, "5.4"],
    ["amd_iommu=irtcachedis", { amdIrtCacheDisabled: true }],
    ["amd_iommu=irtcachedis", {}, "6.1"],
    ["amd_iommu", {}],
    ["iommu=off", { amdIommuDisabled: true }],
    ["iommu=pt,off", { amdIommuDisabled: true }],
    ["iommu=usedac,off", {}],
    ["iommu=soft", {}],
    ["amd_iommu_intr=legacy", { amdIommuIntr: "legacy" }],
    ["amd_iommu_intr=the-legacy-one", { amdIommuIntr: "legacy" }],
    ["amd_iommu_intr=vapic,legacy", {}],
    ["amd_iommu_intr=legacy amd_iommu_intr=vapic", {}],
    ["vfio_iommu_type1.allow_unsafe_interrupts=1", { allowUnsafeInterrupts: true }],
    ["vfio_iommu_type1.allow_unsafe_interrupts", { allowUnsafeInterrupts: true }],
    ["vfio-iommu-type1.allow-unsafe-interrupts=Y", { allowUnsafeInterrupts: true }],
    ["iommufd.allow_unsafe_interrupts=on", { iommufdAllowUnsafeInterrupts: true }],
    ["iommufd.allow_unsafe_interrupts=on", {}, "6.1"],
    ["kvm_intel.enable_device_posted_irqs=N", { enableDevicePostedIrqs: false }],
    ["kvm_amd.enable_device_posted_irqs=off", { enableDevicePostedIrqs: false }],
    ["kvm_amd.enable_device_posted_irqs=off", {}, "6.12"],
    ["kvm_intel.enable_apicv=0", { enableApicv: false }],
    ["kvm_intel.enable_apicv=false", { enableApicv: false }],
    ["kvm_intel.enable_apicv=false", {}, "5.4"],
    ["kvm_intel.enable_apicv=disabled", { enableApicv: false }],
    ["kvm_intel.enable_apicv=disabled", {}, "6.12"],
    ["kvm_intel.enable_apicv=2", {}],
    ["kvm_intel.enable_apicv=", {}],
    ["kvm_amd.avic=no", { enableApicv: false }],
    ["kvm_amd.avic=auto", {}],
    ["kvm.vector_hashing=n", { vectorHashing: false }],
  ])("%s", (text, expected, release) => {
    expect(set(text, release)).toEqual(expected);
  });

  test.each([
    ["intel_iommu=off", { dmar_disabled: true, no_platform_optin: true }],
    ["intel_iommu=off,on", { dmar_disabled: false }],
    ["intel_iommu=igfx_off", { disable_igfx_iommu: true }],
    ["iommu=noforce", { iommu_merge: false, force_iommu: false }],
    ["iommu=nopt", { iommu_merge: true, iommu_def_domain_type: "IOMMU_DOMAIN_DMA" }],
    ["iommu=forcesac", { force_iommu: true }],
    ["iommu", { iommu_merge: true }],
    ["amd_iommu=pgtbl_v2,nohugepages", { amd_iommu_pgtable: "v2" }],
    ["nox2apic", { x2apic_state: "X2APIC_DISABLED" }],
  ])("%s sets the kernel's own variables", (text, flags) => {
    expect(readCommandLine(text, "7.0").flags).toMatchObject(flags);
  });

  test.each([
    ["intremap=on,foo", "intremap", "foo", "no keyword begins it"],
    ["intremap", "intremap", null, "Malformed early option"],
    ["intel_iommu", "intel_iommu", null, "counts only as intel_iommu="],
    ["intel_iommu=nobounce", "intel_iommu", "nobounce", "nobounce went with 5.12"],
    ["amd_iommu=on", "amd_iommu", "on", "no keyword"],
    ["amd_iommu_intr=x", "amd_iommu_intr", "x", "no keyword"],
    ["kvm_intel.enable_apicv=maybe", "kvm_intel.enable_apicv", "maybe", "no truth value"],
    ["no_x2apic_optout", "no_x2apic_optout", null, "no such parameter"],
    ["nosid", "nosid", null, "no such parameter"],
    ["amd_iommu_mode=x", "amd_iommu_mode", null, "no such parameter"],
    ["-- noapic", "noapic", null, "behind --"],
  ])("%s: what nothing took is named", (text, parameter, item, why) => {
    expect(readCommandLine(text, "7.0").ignored).toEqual([
      { parameter, item, why: expect.stringContaining(why) as string },
    ]);
  });

  test("what is new to a later release says when it came", () => {
    expect(readCommandLine("intremap=posted_msi iommufd.allow_unsafe_interrupts", "5.4").ignored).toEqual([
      { parameter: "intremap", item: "posted_msi", why: "posted_msi came with 6.10" },
      { parameter: "iommufd.allow_unsafe_interrupts", item: null, why: "the parameter came with 6.2" },
    ]);
  });

  test("parameters about something else are passed over", () => {
    const text =
      "root=/dev/sda1 quiet iommu.strict=1 amd_iommu_dump kvm_intel.nested=1 ivrs_ioapic=10@00:14.0";
    expect(readCommandLine(text, "7.0")).toMatchObject({ taken: [], ignored: [] });
  });
});

describe("in effect", () => {
  const all = {
    remapping: true,
    posting: true,
    sourceIdChecking: true,
    x2apicOptOut: true,
    postedMsi: false,
  };
  const noRemapping = { ...all, remapping: false, posting: false };

  test.each<[string, Vendor, Record<string, boolean>, string?]>([
    ["", "intel", all],
    ["", "amd", all],
    ["intremap=off", "intel", noRemapping],
    ["nointremap", "amd", noRemapping],
    ["noapic", "intel", noRemapping],
    ["intel_iommu=off", "intel", all],
    ["iommu=off", "intel", all],
    ["amd_iommu=off", "intel", all],
    ["amd_iommu=off", "amd", noRemapping],
    ["iommu=off", "amd", noRemapping],
    ["intel_iommu=off", "amd", all],
    ["intremap=nopost", "intel", { ...all, posting: false }],
    ["intremap=posted_msi", "intel", { ...all, postedMsi: true }],
    ["intremap=posted_msi,nopost", "intel", { ...all, posting: false }],
    ["intremap=nopost,posted_msi,on", "intel", { ...all, postedMsi: true }],
    ["intremap=posted_msi", "amd", all],
    ["intremap=posted_msi", "intel", all, "6.9"],
    ["amd_iommu_intr=legacy", "amd", { ...all, posting: false }],
    ["amd_iommu_intr=legacy", "intel", all],
    ["intremap=nosid", "intel", { ...all, sourceIdChecking: false }],
    ["intremap=nosid", "amd", all],
    ["intremap=no_x2apic_optout", "intel", { ...all, x2apicOptOut: false }],
    ["", "intel", { ...all, posting: false }, "4.3"],
    ["", "amd", { ...all, posting: false }, "4.8"],
  ])("%s on %s", (text, vendor, expected, release) => {
    expect(effects(text, vendor, release)).toEqual(expected);
  });

  test("each says by what", () => {
    const { remapping, posting, postedMsi } = effectsOf(
      readCommandLine("intremap=on intremap=posted_msi,nopost intel_iommu=off", "7.0"),
      "7.0",
      "intel",
    );
    expect(remapping.why).toContain("intel_iommu=off turns DMA translation off");
    expect(posting.why).toBe("intremap=nopost");
    expect(postedMsi.why).toBe("intremap=posted_msi needs posting, which is off");
    const undone = effectsOf(readCommandLine("intremap=off intremap=on", "7.0"), "7.0", "intel");
    expect(undone.remapping.why).toBe("intremap=on");
  });
});
