import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { chartsOf } from "../../state/embed.ts"
import type { Theme } from "../../state/preferences.ts"
import { CodeBlock } from "../controls/copy.tsx"
import { Select, type SelectOption } from "../controls/select.tsx"

const themes: Record<Theme, string> = { system: "System", light: "Light", dark: "Dark" }

/** px of the frame: a whole page, and one chart. */
const pageHeight = 900
const chartHeight = 440

interface EmbedSnippetProps {
  /** Path of the link: `/share/<token>`. */
  link: string
  /** The page that the link opens. */
  page: string
  /** Accessible name of the frame. */
  name: string
}

/** HTML that shows a share link on another website. */
export function EmbedSnippet({ link, page, name }: EmbedSnippetProps) {
  const { router } = useApp()
  const [theme, setTheme] = useState<Theme>("system")
  const [chart, setChart] = useState("")
  const params = new URLSearchParams([
    ...(theme === "system" ? [] : [["theme", theme]]),
    ...(chart === "" ? [] : [["chart", chart]]),
  ])
  const query = params.size === 0 ? "" : `?${params}`
  const source = `${router.serverUrl}${link.replace(/^\/share\//, "/embed/")}${query}`
  const height = chart === "" ? pageHeight : chartHeight
  const code = `<iframe src="${escaped(source)}" title="${escaped(name)}" width="100%" height="${height}" style="border:0" loading="lazy"></iframe>`
  return (
    <>
      <div class="settings-retain">
        <label class="field">
          Show
          <Select
            value={chart}
            options={[{ value: "", label: "The whole page" }, ...optionsOf(chartsOf(page))]}
            onChange={setChart}
          />
        </label>
        <label class="field">
          Theme
          <Select
            value={theme}
            options={optionsOf(themes)}
            // The options are the themes.
            onChange={(value) => setTheme(value as Theme)}
          />
        </label>
      </div>
      <CodeBlock code={code} name="Copy embed code" />
    </>
  )
}

function optionsOf(labels: Record<string, string>): SelectOption[] {
  return Object.entries(labels).map(([value, label]) => ({ value, label }))
}

/** Text as the value of an attribute in double quotes. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;")
}
