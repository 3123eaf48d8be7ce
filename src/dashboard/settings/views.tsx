import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import type { SavedKind, SavedView } from "../components/saved/save-view.tsx"
import { SavedMenu } from "../components/saved/saved.tsx"
import { useResource } from "../state/resource.ts"
import { List, Row } from "./list.tsx"
import { SavedPath } from "./saved-path.tsx"
import { SettingsPage } from "./settings-page.tsx"
import { useWebsiteFilter, WebsiteFilter } from "./website-filter.tsx"

const kinds: Record<SavedKind, string> = {
  view: "View",
  funnel: "Funnel",
  retention: "Retention",
  paths: "Paths",
  goal: "Goal",
}

export function Views() {
  const website = useWebsiteFilter()
  const views = useResource<{ views: (SavedView & { kind: SavedKind })[] }>(
    `views?website_id=${encodeURIComponent(website)}`,
  )
  return (
    <SettingsPage name="views" title="Saved views">
      <Panel title="Saved views and reports" actions={<WebsiteFilter website={website} />}>
        <List
          name="Saved views"
          resource={views}
          empty={
            <Empty title="Nothing saved">
              To save any page with its range and filters, use Share&nbsp;&amp;&nbsp;save. To save a funnel,
              goal or other report, use the Save button on its page.
            </Empty>
          }
          rows={(data) =>
            data.views.map((view) => (
              <Row
                key={view.id}
                title={view.name}
                facts={[
                  ["Kind", kinds[view.kind]],
                  ["Opens", <SavedPath key="path" website={website} path={view.path} />],
                ]}
                actions={<SavedMenu view={view} path={undefined} onChanged={views.refetch} />}
              />
            ))
          }
        />
      </Panel>
    </SettingsPage>
  )
}
