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
 * What the engine answers, and how far it said it was on the way; an error's message is thrown. For `files` it gets those that were picked
 * last.
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
        const picked = document.querySelector<HTMLInputElement>("#test-files")?.files ?? [];
        const files = [...picked].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
        const host = given as { readonly files?: unknown } | string | null | undefined;
        const asked = typeof host === "object" && host?.files !== undefined ? { ...host, files } : given;
        worker.postMessage({ id: 1, task: name, input: asked });
      });
    },
    [task, input] as const,
  );
}

/** Has the user pick a file or a folder, and opens it. */
export async function openPicked(page: Page, path: string, name: string): Promise<readonly string[]> {
  const folder = statSync(path).isDirectory();
  await page.evaluate((isFolder) => {
    document.querySelector("#test-files")?.remove();
    const input = document.createElement("input");
    Object.assign(input, { id: "test-files", type: "file", webkitdirectory: isFolder });
    document.body.append(input);
  }, folder);
  await page.locator("#test-files").setInputFiles(path);
  const { progress } = await askEngine(page, "openHost", { name, files: [] });
  return progress;
}
