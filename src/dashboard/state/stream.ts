/** A server-sent event. */
export interface Message {
  /** '': it has none. */
  id: string
  /** What kind it is: `message` where it does not say. */
  event: string
  data: string
}

/** What comes in an answer that stays open, as it comes; nothing where the server only says that it is still there. */
export async function* messagesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Message[]> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let text = ""
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      text += decoder.decode(value, { stream: true })
      const blocks = text.split("\n\n")
      text = blocks.pop() ?? ""
      yield blocks.flatMap((block) => messageOf(block) ?? [])
    }
  } finally {
    reader.cancel().catch(() => {
      // It broke off by itself.
    })
  }
}

function messageOf(block: string): Message | undefined {
  const message: Message = { id: "", event: "message", data: "" }
  for (const line of block.split("\n")) {
    const [, name, value = ""] = /^(\w+): ?(.*)$/s.exec(line) ?? []
    if (name === "id" || name === "event" || name === "data") message[name] = value
  }
  return message.data === "" ? undefined : message
}
