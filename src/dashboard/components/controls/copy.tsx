import { useState } from "preact/hooks"
import { Icon } from "./icons.tsx"

/** How long the button confirms the copy, in ms. */
const feedbackMs = 2_000

interface CopyButtonProps {
  text: string
  /** Accessible name of the button, such as "Copy curl command". */
  name: string
}

/** A button that copies `text` to the clipboard. */
export function CopyButton({ text, name }: CopyButtonProps) {
  const [state, setState] = useState<"idle" | "done" | "failed">("idle")
  const copy = async () => {
    setState((await copyText(text)) ? "done" : "failed")
    setTimeout(() => setState("idle"), feedbackMs)
  }
  return (
    <button type="button" class="button small" aria-label={name} onClick={copy}>
      <Icon name={state === "done" ? "check" : "copy"} />
      <span aria-live="polite">
        {state === "done" ? "Copied" : state === "failed" ? "Select and copy manually" : "Copy"}
      </span>
    </button>
  )
}

/**
 * Copies text. Returns true if it has been copied. The clipboard API exists only on HTTPS and localhost. If it is
 * missing or fails, uses the deprecated `execCommand` instead.
 */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement("textarea")
    area.value = text
    area.className = "hidden"
    // While a modal dialog is open, only elements inside it can be focused.
    const { activeElement: previousFocus, body } = document
    const container = document.querySelector("dialog[open]") ?? body
    container.append(area)
    area.select()
    const isCopied = document.execCommand("copy")
    area.remove()
    if (previousFocus instanceof HTMLElement) previousFocus.focus()
    return isCopied
  }
}

/** A code block with a copy button. */
export function CodeBlock({ code, name }: { code: string; name: string }) {
  return (
    <div class="code-block">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable box must be reachable by keyboard */}
      <pre tabIndex={0}>
        <code>{code}</code>
      </pre>
      <CopyButton text={code} name={name} />
    </div>
  )
}
