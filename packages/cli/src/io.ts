/** What a command writes to. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** What a command reads from. */
export type Source = AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean };

/** The outside world of one run of a command; tests hand in their own. */
export interface Io {
  readonly stdin: Source;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Exit statuses of every command. */
export const exitStatus = { clean: 0, findings: 1, unusable: 2 } as const;
