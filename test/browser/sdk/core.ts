import { createScript, identify, track } from "@databuddy/sdk"
import { optionsOf } from "./options.ts"

document.head.append(createScript(optionsOf(location)))
identify("u1", { plan: "pro" })
track("early", { entry: "core" })
