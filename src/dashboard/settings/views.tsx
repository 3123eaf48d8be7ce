import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import type { SavedKind, SavedView } from "../components/saved/save-view.tsx"
import { SavedMenu } from "../components/saved/saved.tsx"
import { useResource } from "../state/resource.ts"
import { List, Row } from "./list.tsx"
import { ListedWebsite, useListedWebsite } from "./of-website.tsx"
import { SavedPath } from "./saved-path.tsx"
import { SettingsPage } from "./settings-page.tsx"

const kinds: Record<SavedKind, string> = {
  view: "View",
  funnel: "Funnel",
  retention: "Retention",
  paths: "Paths",
  goal: "Goal",
}

export function Views() {
  const website = useListedWebsite()
  const views = useResource<{ views: (SavedView & { kind: SavedKind })[] }>(
    `views?website_id=${encodeURIComponent(website)}`,
  )
  return (
    <SettingsPage name="views" title="Saved views">
      <Panel title="What was saved" actions={<ListedWebsite website={website} />}>
        <List
          name="Saved views"
          of={views}
          empty={
            <Empty title="Nothing is saved">
              Any page is saved with its range and filters by “Save this view” in its menu Views; funnels,
              goals and such where they are built.
            </Empty>
          }
          rows={(answer) =>
            answer.views.map((view) => (
              <Row
                key={view.id}
                title={view.name}
                facts={[
                  ["Kind", kinds[view.kind]],
                  ["Opens", <SavedPath key="path" website={website} path={view.path} />],
                ]}
                actions={<SavedMenu view={view} path={undefined} onChanged={views.again} />}
              />
            ))
          }
        />
      </Panel>
    </SettingsPage>
  )
}
