/** A file of a folder, by its path in it. */
export interface PathFile {
  readonly path: string;
  readonly file: File;
}

/** Pasted text, files that were given by themselves, or a folder's. */
export type HostInput =
  | { readonly name: string; readonly text: string }
  | { readonly name: string; readonly files: readonly File[] }
  | { readonly name: string; readonly folder: readonly PathFile[] };
