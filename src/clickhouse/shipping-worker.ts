import { setPriority } from "node:os"
import { openForReading } from "../store/db/open.ts"
import type { ShippingChange } from "../store/shipping.ts"
import { Cluster } from "./cluster.ts"
import type { ShippingMessage, ShippingRequest } from "./messages.ts"
import { Shipper } from "./shipper.ts"
import { ShippingLoop } from "./shipping-loop.ts"

// The thread that ships events. It only reads the database, and asks the main thread to store changes.

declare const self: Worker

/** Leaves most of the CPU time of a busy server to ingestion. The query thread has the same niceness. */
const niceness = 10
/** Size of SQLite's page cache in KiB. A small cache is enough, because rows are read once, in order. */
const pageCacheKiB = 4_096

let close = (): void => {}
let nextId = 1
const pending = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()

function post(message: ShippingMessage): void {
  self.postMessage(message)
}

function write(change: ShippingChange): Promise<void> {
  const id = nextId++
  post({ type: "write", id, change })
  return new Promise((resolve, reject) => pending.set(id, { resolve, reject }))
}

function open({
  path,
  address,
  password,
  keepLocal,
  isShared,
}: Extract<ShippingRequest, { type: "open" }>): void {
  try {
    // On Linux, this call affects only the current thread.
    setPriority(0, niceness)
  } catch {
    // If changing the priority is not permitted, the worker runs at normal priority.
  }
  const db = openForReading(path)
  db.pragma(`cache_size = -${pageCacheKiB}`)
  const cluster = new Cluster(address, password)
  let wake = (): void => {}
  let isStopping = false
  const shipper = new Shipper({
    db,
    cluster,
    write,
    pause: () => new Promise((resolve) => setImmediate(resolve)),
    sleep: async (ms) => {
      await new Promise((resolve) => setTimeout(resolve, ms))
      if (isStopping) throw new Error("the server is stopping")
    },
    keepLocal,
    isShared,
    random: (bytes) => crypto.getRandomValues(bytes),
    now: Date.now,
    elapsed: () => performance.now(),
    log: (level, message, fields = {}) => post({ type: "log", level, message, fields }),
  })
  const loop = new ShippingLoop({
    step: () => shipper.step(),
    sleep: (ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      }),
    random: (bytes) => crypto.getRandomValues(bytes),
    onShipped: (events) => post({ type: "shipped", events }),
    onFailure: ({ message }, hint, retryMs) => post({ type: "failed", message, hint, retryMs }),
  })
  const ended = loop.run()
  close = () => {
    isStopping = true
    loop.stop()
    wake()
    void ended.then(async () => {
      await cluster.close()
      db.close()
      post({ type: "closed" })
    })
  }
}

self.onmessage = ({ data }: MessageEvent<ShippingRequest>) => {
  if (data.type === "open") open(data)
  else if (data.type === "close") close()
  else {
    const request = pending.get(data.id)
    pending.delete(data.id)
    if (data.error === undefined) request?.resolve()
    else request?.reject(new Error(data.error))
  }
}
