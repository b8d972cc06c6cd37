/** A file for a guest's first file system. */
export interface CpioFile {
  readonly path: string;
  /** Permissions and kind, as in st_mode. */
  readonly mode: number;
  readonly content?: Uint8Array | string;
}

const trailer = "TRAILER!!!";

/** An archive in the form `newc`, which Linux unpacks as its initramfs (Documentation/driver-api/early-userspace/buffer-format.rst). */
export function cpio(files: readonly CpioFile[]): Buffer {
  const parts = [...files, { path: trailer, mode: 0 }].flatMap(
    ({ path, mode, content = "" }: CpioFile, i) => {
      const body = Buffer.from(content);
      const name = Buffer.from(`${path}\0`);
      const links = 1;
      const numbers = [i + 1, mode, 0, 0, links, 0, body.length, 0, 0, 0, 0, name.length, 0];
      const header = `070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}`;
      return [padded(Buffer.concat([Buffer.from(header), name])), padded(body)];
    },
  );
  return Buffer.concat(parts);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
