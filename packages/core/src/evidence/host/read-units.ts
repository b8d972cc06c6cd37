import { pciAddressPattern, addressOfGroups } from "../text/pci-address.ts";
import type { HostDraft } from "./draft.ts";
import { fact } from "./fact.ts";
import type { FileReader } from "./file-reader.ts";

const folder = "sys/class/iommu";
const what = "remapping units in sysfs";

/** Adds what sysfs says of the units. */
export function readUnits(files: FileReader, draft: HostDraft): void {
  for (const name of files.names(folder)) {
    if (/^dmar\d{1,4}$/.test(name)) addVtdUnit(files, draft, name);
    else if (/^ivhd\d{1,4}$/.test(name)) addAmdviUnit(files, draft, name);
  }
}

function addVtdUnit(files: FileReader, draft: HostDraft, name: string): void {
  const attribute = (file: string): { value: string; source: string } | undefined => {
    const source = `${folder}/${name}/intel-iommu/${file}`;
    const value = files.value(source, what);
    return value === undefined ? undefined : { value, source };
  };
  const base = attribute("address");
  const address = base === undefined ? undefined : hexOf(base.value);
  const unit = draft.vtdUnit(name, address);
  if (address !== undefined) unit.registerBase ??= fact(address, { source: base!.source });
  const version = attribute("version");
  const numbers = /^(\d{1,2}):(\d{1,2})$/.exec(version?.value ?? "");
  if (numbers !== null) {
    unit.version ??= fact((Number(numbers[1]) << 4) | Number(numbers[2]), { source: version!.source });
  }
  for (const [file, key] of [
    ["cap", "capability"],
    ["ecap", "extendedCapability"],
  ] as const) {
    const found = attribute(file);
    const value = hexOf(found?.value);
    if (value !== undefined) unit[key] ??= fact(value, { source: found!.source });
  }
}

/** The function of the unit itself, in the path that its link has: `…/0000:00:00.2/iommu/ivhd0`. */
const owner = new RegExp(`(?:^|/)${pciAddressPattern}/iommu/(ivhd\\d{1,4})$`);

function addAmdviUnit(files: FileReader, draft: HostDraft, name: string): void {
  const unit = draft.amdviUnit(name);
  const source = `${folder}/${name}/amd-iommu/features`;
  const words = files.value(source, what)?.split(":").map(hexOf) ?? [];
  const [efr, efr2] = efrFirst(words, draft.system.release?.value) ? words : words.toReversed();
  if (efr !== undefined) unit.features ??= fact(efr, { source });
  if (efr2 !== undefined) unit.features2 ??= fact(efr2, { source });
  addOwner(files.link(`${folder}/${name}`), `${folder}/${name}`, draft);
}

/**
 * Only EFR until Linux 5.19; EFR2 and EFR until 6.6, EFR and EFR2 since 6.7. No unit has an EFR of 0, many have an EFR2
 * of 0, which settles it where a distribution took the change into an older release.
 */
function efrFirst(words: readonly (bigint | undefined)[], release: string | undefined): boolean {
  if (words[0] === 0n || words[1] === 0n) return words[1] === 0n;
  const [, major, minor] = /^(\d{1,3})\.(\d{1,3})/.exec(release ?? "") ?? [];
  return Number(major) > 6 || (Number(major) === 6 && Number(minor) >= 7);
}

/** Adds whose function a unit of AMD's is, as a link says it. */
export function addOwner(link: string | undefined, source: string, draft: HostDraft): void {
  const match = owner.exec(link ?? "");
  if (match === null) return;
  const { segment, requester } = addressOfGroups(match.slice(1, 5));
  const unit = draft.amdviUnit(match[5]!);
  unit.requester ??= fact(requester, { source });
  unit.segment ??= fact(segment, { source });
}

function hexOf(text: string | undefined): bigint | undefined {
  return text !== undefined && /^(?:0x)?[0-9a-fA-F]{1,16}$/.test(text)
    ? BigInt(`0x${text.replace(/^0x/, "")}`)
    : undefined;
}
