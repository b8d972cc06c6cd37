import { type ResourceLimits, Worker } from "node:worker_threads";

/**
 * Starts a thread of one of the files that stand beside this one, which the build makes an entry of its own.
 * @param name of the file, without an extension.
 */
export function startThread(name: string, workerData: unknown, resourceLimits?: ResourceLimits): Worker {
  const ours = import.meta.url;
  const options = { workerData, ...(resourceLimits && { resourceLimits }) };
  if (!ours.endsWith(".ts")) return new Worker(new URL(`${name}.js`, ours), options);
  // Run from source: a thread does not read TypeScript by itself.
  const file = new URL(`${name}.ts`, ours).href;
  const code = `import("tsx/esm/api").then(({ register }) => (register(), import("${file}")))`;
  return new Worker(code, { ...options, eval: true, execArgv: ["--conditions=intremap-src"] });
}
