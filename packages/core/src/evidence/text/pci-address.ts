/** Where a PCI function is. */
export interface PciAddress {
  readonly segment: number;
  /** Bus:device.function as 16 bits. */
  readonly requester: number;
}

/**
 * Pattern of an address with its four groups: segment (may be absent), bus, device, function. A segment has more than
 * four digits where it is not the firmware's: behind a VMD.
 */
export const pciAddressPattern = "(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([01][0-9a-fA-F])\\.([0-7])";

const whole = new RegExp(`^${pciAddressPattern}$`);

/** Reads `0000:01:00.0` or `01:00.0`; undefined when it is neither. */
export function pciAddressOf(text: string): PciAddress | undefined {
  const match = whole.exec(text);
  return match === null ? undefined : addressOfGroups(match.slice(1));
}

/** The address in the groups of {@link pciAddressPattern}. */
export function addressOfGroups(groups: readonly (string | undefined)[]): PciAddress {
  const [segment = 0, bus, device, fn] = groups.map((digits) =>
    digits === undefined ? undefined : Number.parseInt(digits, 16),
  );
  return { segment, requester: (bus! << 8) | (device! << 3) | fn! };
}
