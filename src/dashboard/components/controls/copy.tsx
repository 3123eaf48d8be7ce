import { useState } from "preact/hooks"
import { Icon } from "./icons.tsx"

/** ms that the button says that it worked. */
const saysFor = 2_000

interface CopyProps {
  text: string
  /** What is copied, in words: "Copy the curl line". */
  name: string
}

/** Puts a text into the clipboard. */
export function Copy({ text, name }: CopyProps) {
  const [state, setState] = useState<"idle" | "done" | "failed">("idle")
  const copy = async () => {
    setState((await copied(text)) ? "done" : "failed")
    setTimeout(() => setState("idle"), saysFor)
  }
  return (
    <button type="button" class="button small" aria-label={name} onClick={copy}>
      <Icon name={state === "done" ? "check" : "copy"} />
      <span aria-live="polite">
        {state === "done" ? "Copied" : state === "failed" ? "Select it by hand" : "Copy"}
      </span>
    </button>
  )
}

/** Whether it is in the clipboard. That is there on HTTPS and on this machine alone; elsewhere the older way has to do. */
export async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement("textarea")
    area.value = text
    area.className = "hidden"
    // What is outside of an open dialog cannot have the focus.
    const { activeElement: before, body } = document
    const place = document.querySelector("dialog[open]") ?? body
    place.append(area)
    area.select()
    const isDone = document.execCommand("copy")
    area.remove()
    if (before instanceof HTMLElement) before.focus()
    return isDone
  }
}

/** Code to take along. */
export function CodeBlock({ code, name }: { code: string; name: string }) {
  return (
    <div class="code-block">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reached by keys */}
      <pre tabIndex={0}>
        <code>{code}</code>
      </pre>
      <Copy text={code} name={name} />
    </div>
  )
}
