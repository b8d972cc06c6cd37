import { fileURLToPath } from "node:url";
import {
  type HostFiles,
  type HostState,
  HostDraft,
  readHostFiles,
  readTar,
  rootNames,
  withExpanded,
} from "@intremap/core";
import { chunksOf, expanded, expanders } from "../sources/expand.ts";
import { testIo } from "./test-io.ts";

/** The captured machines. */
export const capturedHosts = ["intel61-q72", "intel61-5G-strict-node", "intel61-hold", "amd61-q72"] as const;

export type CapturedHost = (typeof capturedHosts)[number];

/** The bundled archive of a captured machine. */
export function capturePath(host: CapturedHost): string {
  return fileURLToPath(new URL(`../../../../captures/${host}.tar.xz`, import.meta.url));
}

/** The files of a captured machine, its compressed tables expanded. */
export async function captureFiles(host: CapturedHost): Promise<HostFiles> {
  const path = capturePath(host);
  const chunks = expanded(chunksOf(path, testIo().stdin), path);
  return withExpanded(await readTar(chunks, host, rootNames, { wanted: () => true }), expanders);
}

/** What files of a machine say. */
export function hostOf(files: HostFiles): HostState {
  const draft = new HostDraft(files.name);
  readHostFiles(files, draft);
  return draft.finish();
}
