import { Databuddy, identify, track } from "@databuddy/sdk/react"
import { createElement, StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { optionsOf } from "./options.ts"

// Strict mode mounts twice, which adds the script twice.
createRoot(document.body).render(
  createElement(StrictMode, null, createElement(Databuddy, optionsOf(location))),
)
identify("u1", { plan: "pro" })
track("early", { entry: "react" })
