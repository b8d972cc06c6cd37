/** A requester id (bus 15:8, device 7:3, function 2:0) as `bb:dd.f`. */
export function printRequester(id: number): string {
  return `${hexByte(id >>> 8)}:${printDeviceFunction(id)}`;
}

/** A PCI function as sysfs calls it: `ssss:bb:dd.f`. */
export function printFunction(place: { readonly segment: number; readonly requester: number }): string {
  return `${place.segment.toString(16).padStart(4, "0")}:${printRequester(place.requester)}`;
}

/** The low 8 bits of a requester id as `dd.f`. */
export function printDeviceFunction(id: number): string {
  return `${hexByte((id >>> 3) & 0x1f)}.${id & 7}`;
}

/** The low 8 bits of a number as two hexadecimal digits. */
export function hexByte(byte: number): string {
  return (byte & 0xff).toString(16).padStart(2, "0");
}
