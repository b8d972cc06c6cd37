import type { Given } from "@intremap/core";

function textOf(id: string): string | null {
  return document.querySelector(`script#${id}[type="application/json"]`)?.textContent ?? null;
}

const none: Given = { start: "", host: null, scenario: null };

/** What came with the page: nothing, from a folder. */
export const given: Given = (JSON.parse(textOf("given") ?? "null") as Given | null) ?? none;

/**
 * The packed host that came with the page, read anew where it is served.
 * @throws Error in one line for the reader of the page.
 */
export async function givenHost(): Promise<string> {
  if (given.host?.from === "report") return textOf("given-host") ?? "";
  let answer: Response;
  try {
    answer = await fetch("./host");
  } catch {
    throw new Error("intremap serve does not answer: start it again and open the address that it prints");
  }
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}
