import type { ComponentChildren } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { Icon } from "../components/controls/icons.tsx"
import "./login.css"

interface FrameProps {
  title: string
  /** Below the box. */
  help?: ComponentChildren
  children: ComponentChildren
}

/** A page for somebody who is not in. */
export function Frame({ title, help, children }: FrameProps) {
  useEffect(() => {
    document.title = `${title} · Databuddy`
  }, [title])
  const main = useRef<HTMLElement>(null)
  useEffect(() => {
    main.current?.querySelector<HTMLElement>("[data-autofocus=true]")?.focus()
  }, [])
  return (
    <main class="door" id="main" ref={main}>
      <p class="door-mark">
        <Icon name="overview" /> Databuddy
      </p>
      <div class="door-box">
        <h1>{title}</h1>
        {children}
      </div>
      {help}
    </main>
  )
}
