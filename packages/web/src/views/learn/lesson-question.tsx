import { change } from "../../state/route.ts";
import type { Lesson } from "./lesson.ts";

interface LessonQuestionProps {
  readonly lesson: Lesson;
  /** What was chosen. */
  readonly answer: number | null;
}

/** What looking answers. */
export function LessonQuestion({ lesson: { question }, answer }: LessonQuestionProps) {
  const { text, choices, right, why } = question;
  return (
    <form class="lesson-question" onSubmit={(event) => event.preventDefault()}>
      <fieldset>
        <legend>{text}</legend>
        {choices.map((choice, i) => (
          <label key={choice} class={i === answer ? (i === right ? "right" : "not") : undefined}>
            <input
              type="radio"
              name="answer"
              checked={i === answer}
              onChange={() => change({ answer: String(i + 1) }, "replace")}
            />
            {choice}
          </label>
        ))}
      </fieldset>
      <p role="status">
        {answer === null ? (
          ""
        ) : answer === right ? (
          <>
            <b class="good">✓ Yes.</b> {why}
          </>
        ) : (
          <>
            <b class="bad">✗ Look again</b> at what the run says.
          </>
        )}
      </p>
    </form>
  );
}
