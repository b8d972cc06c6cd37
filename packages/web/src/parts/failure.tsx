import { Component, type ComponentChildren } from "preact";
import { Notice } from "./notice.tsx";

interface Props {
  readonly children: ComponentChildren;
  /** Tells one thing that is shown from another: what comes next may not break. */
  readonly shown: string;
}

interface State {
  readonly message: string | null;
}

/** What stands there in place of a view that broke: the rest of the page goes on. */
export class Failure extends Component<Props, State> {
  override state: State = { message: null };

  static override getDerivedStateFromError(error: unknown): State {
    return { message: error instanceof Error ? error.message : String(error) };
  }

  override componentDidUpdate({ shown }: Props): void {
    if (this.state.message !== null && shown !== this.props.shown) this.setState({ message: null });
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
