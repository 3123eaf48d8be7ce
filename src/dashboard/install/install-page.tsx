import { NotFound } from "../components/layout/not-found.tsx"
import { Page } from "../components/layout/page.tsx"
import { useApp } from "../state/app.ts"
import { Install } from "./install.tsx"

/** The setup instructions for a website. */
export function InstallPage() {
  const { session, view } = useApp()
  const site = session.sites.value.find(({ id }) => id === view.value.website)
  if (!site) return <NotFound />
  return (
    <Page title="Setup instructions" scoped={false}>
      <Install key={site.id} site={site} />
    </Page>
  )
}
