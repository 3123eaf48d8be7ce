import { identify, track } from "@databuddy/sdk"
import { Databuddy } from "@databuddy/sdk/vue"
import { createApp, h } from "vue"
import { optionsOf } from "./options.ts"

createApp({ render: () => h(Databuddy, optionsOf(location)) }).mount(document.body)
identify("u1", { plan: "pro" })
track("early", { entry: "vue" })
