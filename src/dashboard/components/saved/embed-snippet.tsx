import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { chartsOf } from "../../state/embed.ts"
import type { Theme } from "../../state/preferences.ts"
import { CodeBlock } from "../controls/copy.tsx"

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
          <select value={chart} onChange={(event) => setChart(event.currentTarget.value)}>
            <option value="">The whole page</option>
            {Object.entries(chartsOf(page)).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          Theme
          <select
            value={theme}
            // The options are the themes.
            onChange={(event) => setTheme(event.currentTarget.value as Theme)}
          >
            {Object.entries(themes).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>
      </div>
      <CodeBlock code={code} name="Copy embed code" />
    </>
  )
}

/** Text as the value of an attribute in double quotes. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;")
}
