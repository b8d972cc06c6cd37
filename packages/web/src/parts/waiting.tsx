interface WaitingProps {
  /** What is being done. */
  readonly title: string;
  /** How far it is. */
  readonly progress: string;
  readonly stop: () => void;
}

/** While the engine works: how far it is, and a way to end it. */
export function Waiting({ title, progress, stop }: WaitingProps) {
  return (
    <div class="notice waiting" role="status" aria-busy="true">
      <h2>{title}</h2>
      <p>{progress === "" ? "…" : progress}</p>
      <button type="button" onClick={stop}>
        Stop
      </button>
    </div>
  );
}
