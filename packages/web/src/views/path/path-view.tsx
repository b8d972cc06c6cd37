import { route } from "../../state/route.ts";
import { FollowedPath } from "./followed-path.tsx";
import { RacePath } from "./race-path.tsx";
import { RequestPath, requestIn } from "./request-path.tsx";
import { ChooseScenario, ScenarioPath } from "./scenario-path.tsx";

/** One interrupt's way: of a scenario, of a pasted request, or of what another view hands over. */
export function PathView() {
  return (
    <div class="path-view">
      <h1>Path</h1>
      <Body />
    </div>
  );
}

function Body() {
  const { query } = route.value;
  const { scenario, race, follow } = query;
  if (scenario !== undefined) return <ScenarioPath key={scenario} name={scenario} />;
  if (race !== undefined) return <RacePath />;
  if (follow !== undefined) return <FollowedPath subject={follow} />;
  const kind = requestIn(query);
  return kind === undefined ? <ChooseScenario /> : <RequestPath kind={kind} />;
}
