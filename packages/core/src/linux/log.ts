/** One line of the kernel log, without its time stamp, as dmesg prints it. */
export interface LogLine {
  readonly level: "info" | "warn" | "err";
  readonly text: string;
}

const kept = 10_000;

/** The kernel's ring of messages: the last ten thousand. */
export class KernelLog {
  readonly lines: LogLine[] = [];
  /** Told of each line as it is printed. */
  onLine: ((line: LogLine) => void) | null = null;

  info(text: string): void {
    this.#print("info", text);
  }

  warn(text: string): void {
    this.#print("warn", text);
  }

  err(text: string): void {
    this.#print("err", text);
  }

  #print(level: LogLine["level"], text: string): void {
    const line = { level, text };
    this.lines.push(line);
    if (this.lines.length > kept) this.lines.shift();
    this.onLine?.(line);
  }
}
