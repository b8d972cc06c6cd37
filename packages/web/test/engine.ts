import { statSync } from "node:fs";
import type { Page } from "playwright-core";
import type { TaskInput, TaskName, TaskResult } from "../src/engine/tasks.ts";

/** Loads the engine beside the page, for questions that no view asks; call it once a page. */
export async function startEngine(page: Page): Promise<void> {
  await page.addScriptTag({ url: "./engine.js" });
  await page.evaluate(() => {
    const source = `(${String(Reflect.get(globalThis, "intremapEngine"))})()`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    Reflect.set(globalThis, "testWorker", worker);
  });
}

/**
 * What the engine answers, and how far it said it was on the way; an error's message is thrown. For `files` and
 * `folder` it gets what was picked last.
 */
export async function askEngine<Name extends TaskName>(
  page: Page,
  task: Name,
  input: TaskInput<Name>,
): Promise<{ readonly result: TaskResult<Name>; readonly progress: readonly string[] }> {
  return page.evaluate(
    ([name, given]) => {
      const worker = Reflect.get(globalThis, "testWorker") as Worker;
      return new Promise<never>((resolve, reject) => {
        const progress: string[] = [];
        worker.addEventListener("message", function hear({ data }) {
          if (data.kind === "progress") progress.push(data.text);
          else {
            worker.removeEventListener("message", hear);
            if (data.kind === "result") resolve({ result: data.result, progress } as never);
            else reject(new Error(`${data.expected ? "InputError" : "Error"}: ${data.message}`));
          }
        });
        const files = [...(document.querySelector<HTMLInputElement>("#test-files")?.files ?? [])];
        const host = given as { files?: unknown; folder?: unknown } | string | null | undefined;
        if (typeof host === "object" && host?.files !== undefined) host.files = files;
        if (typeof host === "object" && host?.folder !== undefined) {
          host.folder = files.map((file) => ({ path: file.webkitRelativePath.replace(/^.*?\//, ""), file }));
        }
        worker.postMessage({ id: 1, task: name, input: given });
      });
    },
    [task, input] as const,
  );
}

/** Has the user pick a file, several or a folder, and opens what was picked. */
export async function openPicked(
  page: Page,
  path: string | readonly string[],
  name: string,
): Promise<readonly string[]> {
  const folder = typeof path === "string" && statSync(path).isDirectory();
  await page.evaluate((isFolder) => {
    document.querySelector("#test-files")?.remove();
    const input = document.createElement("input");
    Object.assign(input, { id: "test-files", type: "file", multiple: true, webkitdirectory: isFolder });
    document.body.append(input);
  }, folder);
  await page.locator("#test-files").setInputFiles(path);
  const input = folder ? { name, folder: [] } : { name, files: [] };
  const { progress } = await askEngine(page, "openHost", input);
  return progress;
}
