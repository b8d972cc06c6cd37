import { Component, type ComponentChildren } from "preact";
import { Notice } from "./notice.tsx";

interface State {
  readonly message: string | null;
}

/** What stands there in place of a view that broke: the rest of the page goes on. */
export class Failure extends Component<{ readonly children: ComponentChildren }, State> {
  override state: State = { message: null };

  static override getDerivedStateFromError(error: unknown): State {
    return { message: error instanceof Error ? error.message : String(error) };
  }

  override render() {
    if (this.state.message === null) return this.props.children;
    return (
      <Notice kind="error" title="This view broke">
        {this.state.message}. The address in your browser says what it showed: please report it.
      </Notice>
    );
  }
}
