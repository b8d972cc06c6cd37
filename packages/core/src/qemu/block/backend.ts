/** Where a disk's bytes are: a file, or memory. Ranges that are asked for lie in its size. */
export interface BlockBackend {
  /** Bytes, a multiple of 512. */
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** What was written before is kept from now on. */
  flush(): Promise<void>;
}

/** A disk that is forgotten with the process. */
export class MemoryBackend implements BlockBackend {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get size(): number {
    return this.bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.bytes.slice(offset, offset + length);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.bytes.set(bytes, offset);
  }

  async flush(): Promise<void> {}
}
