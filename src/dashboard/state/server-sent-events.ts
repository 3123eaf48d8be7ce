/** A server-sent event. */
export interface ServerSentEvent {
  /** '' if the event has no ID. */
  id: string
  /** The event type; the default is `message`. */
  event: string
  data: string
}

/**
 * Yields the server-sent events of a response as they arrive, as one list per received chunk. The list is empty if the
 * chunk completes no event, for example if it is only a keep-alive comment.
 */
export async function* readMessages(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent[]> {
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
      yield blocks.flatMap((block) => parseMessage(block) ?? [])
    }
  } finally {
    reader.cancel().catch(() => {
      // The connection is already closed.
    })
  }
}

function parseMessage(block: string): ServerSentEvent | undefined {
  const message: ServerSentEvent = { id: "", event: "message", data: "" }
  for (const line of block.split("\n")) {
    const [, name, value = ""] = /^(\w+): ?(.*)$/s.exec(line) ?? []
    if (name === "id" || name === "event" || name === "data") message[name] = value
  }
  return message.data === "" ? undefined : message
}
