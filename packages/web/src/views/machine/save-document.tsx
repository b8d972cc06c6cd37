import { useState } from "preact/hooks";
import { hostEngine } from "../../state/host.ts";
import { offerFile } from "../../parts/save-file.tsx";

interface SaveDocumentProps {
  readonly label: string;
  readonly command: "map" | "audit";
}

/** Gives what the command prints with `--json`; the engine writes it. */
export function SaveDocument({ label, command }: SaveDocumentProps) {
  const [failed, setFailed] = useState("");
  const save = async (): Promise<void> => {
    try {
      offerFile(`${command}.json`, "application/json", await hostEngine.ask("hostDocument", command));
      setFailed("");
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <button type="button" onClick={() => void save()}>
      {label}
      <span role="status">{failed === "" ? "" : `: ${failed}`}</span>
    </button>
  );
}
