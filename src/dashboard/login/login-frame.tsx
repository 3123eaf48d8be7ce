import type { ComponentChildren } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { Logo } from "../components/controls/logo.tsx"
import "./login.css"

interface LoginFrameProps {
  title: string
  /** Shown below the box. */
  help?: ComponentChildren
  children: ComponentChildren
}

/** The layout of the pages that need no login. */
export function LoginFrame({ title, help, children }: LoginFrameProps) {
  useEffect(() => {
    document.title = `${title} · Databuddy`
  }, [title])
  const main = useRef<HTMLElement>(null)
  useEffect(() => {
    main.current?.querySelector<HTMLElement>("[data-autofocus=true]")?.focus()
  }, [])
  return (
    <main class="login" id="main" ref={main}>
      <p class="login-brand">
        <Logo /> Databuddy
      </p>
      <div class="login-box">
        <h1>{title}</h1>
        {children}
      </div>
      {help}
    </main>
  )
}
