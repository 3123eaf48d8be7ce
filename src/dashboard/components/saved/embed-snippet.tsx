import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import type { Theme } from "../../state/preferences.ts"
import { CodeBlock } from "../controls/copy.tsx"
import { Select, type SelectOption } from "../controls/select.tsx"

const themes: Record<Theme, string> = { system: "System", light: "Light", dark: "Dark" }

/** Value of the wallboard option. Tile IDs contain no colon, so none of them can be equal to it. */
const wallboard = "mode:wallboard"

/** Frame height in px for a whole page, and for one chart. */
const pageHeight = 900
const chartHeight = 440

interface EmbedSnippetProps {
  /** The link's path: `/share/<token>`. */
  link: string
  /** Labels of the parts that can be shown on their own, keyed by name. */
  charts: Readonly<Record<string, string>>
  /** Whether the link shows a board, which can also be embedded as a wallboard. */
  isBoard: boolean
  /** Accessible name of the frame. */
  name: string
}

/** The HTML that embeds a share link in another website. */
export function EmbedSnippet({ link, charts, isBoard, name }: EmbedSnippetProps) {
  const { router } = useApp()
  const [theme, setTheme] = useState<Theme>("system")
  const [part, setPart] = useState("")
  const isWhole = part === "" || part === wallboard
  const params = new URLSearchParams([
    ...(theme === "system" ? [] : [["theme", theme]]),
    ...(part === wallboard ? [["mode", "wallboard"]] : []),
    ...(isWhole ? [] : [["chart", part]]),
  ])
  const query = params.size === 0 ? "" : `?${params}`
  const source = `${router.serverUrl}${link.replace(/^\/share\//, "/embed/")}${query}`
  const height = isWhole ? pageHeight : chartHeight
  const code = `<iframe src="${escaped(source)}" title="${escaped(name)}" width="100%" height="${height}" style="border:0" loading="lazy"></iframe>`
  return (
    <>
      <div class="settings-retain">
        <label class="field">
          Show
          <Select
            value={part}
            options={[
              { value: "", label: isBoard ? "Entire board" : "Entire page" },
              ...(isBoard ? [{ value: wallboard, label: "Wallboard (updates every minute)" }] : []),
              ...optionsOf(charts),
            ]}
            onChange={setPart}
          />
        </label>
        <label class="field">
          Theme
          <Select
            value={theme}
            options={optionsOf(themes)}
            // The type assertion is safe because the option values are the names of themes.
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

/** Escapes text for an attribute value in double quotes. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;")
}
