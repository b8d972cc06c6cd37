import { spawn } from "node:child_process";

/**
 * Why no browser is started by itself here, or null.
 * @param uid of this process, undefined where there is none.
 */
export function browserObstacle(
  platform: string,
  env: Readonly<Record<string, string | undefined>>,
  uid: number | undefined,
): string | null {
  if (uid === 0) return "no browser is started as root";
  if (platform === "linux" && !env["DISPLAY"] && !env["WAYLAND_DISPLAY"]) return "there is no display";
  return null;
}

const openers: Readonly<Record<string, readonly string[]>> = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"],
};

/** What ends later than this, in milliseconds, had started a browser. */
const soon = 5000;

/** Starts the user's browser, and does not wait for it. @param failed called when that cannot be done. */
export function openBrowser(address: string, failed: () => void, platform: string = process.platform): void {
  const [command = "", ...args] = openers[platform] ?? ["xdg-open"];
  const child = spawn(command, [...args, address], { detached: true, stdio: "ignore" });
  const started = performance.now();
  child.on("error", failed);
  child.on("exit", (status) => {
    // Some wait for the browser, and end as it does.
    if (status !== 0 && performance.now() - started < soon) failed();
  });
  child.unref();
}
