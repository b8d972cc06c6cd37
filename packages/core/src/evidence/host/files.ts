/**
 * Files of a machine, by their paths on it without the leading slash: `proc/interrupts`,
 * `sys/bus/pci/devices/0000:00:03.0/config`. The machine itself, a folder, or an archive in memory.
 */
export interface HostFiles {
  /** What to call it in messages. */
  readonly name: string;
  /**
   * The whole content; undefined when there is no such file.
   * @throws InputError when it is there and cannot be read, or is larger than `limit` bytes (64 MiB unless told).
   */
  read(path: string, limit?: number): Uint8Array | undefined;
  /** Names in a folder, sorted; empty when there is no such folder. */
  list(path: string): readonly string[];
  /** Where a symbolic link points, as it is written; undefined when it is none. */
  link(path: string): string | undefined;
}
