/**
 * Pasted text; or files: one whose path is its name stands for itself, others are those of a folder by their paths in it.
 */
export type HostInput =
  | { readonly name: string; readonly text: string }
  | { readonly name: string; readonly files: readonly { readonly path: string; readonly file: File }[] };
