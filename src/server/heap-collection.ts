/** Time between checks, in ms. */
const interval = 250
/**
 * How much the main thread's heap can grow before new objects are collected, in bytes. A body of the maximum size
 * leaves several MB of garbage. A collection takes up to 4 ms, because nearly all new objects are garbage.
 */
const maxNewBytes = 8_388_608
/**
 * How much the heap can grow in spite of these collections before all objects are collected, in bytes. Such a
 * collection takes 10 to 80 ms. Live objects take up 10 to 20 MB. On its own, the JavaScript engine does not collect
 * its old generation until the heap has grown to about 90 MB.
 */
const maxGrowth = 33_554_432

/**
 * Collects garbage on the main thread's heap, mostly request bodies, when the heap has grown by `maxNewBytes` or
 * `maxGrowth`.
 */
export class HeapCollection {
  #timer: Timer | undefined
  /** Heap size after the last collection, or the smallest size since then, in bytes. */
  #size = Number.POSITIVE_INFINITY
  /** Like `#size`, but only for collections of all objects. */
  #sizeOfAll = Number.POSITIVE_INFINITY

  constructor(
    private readonly runtime: {
      /** Returns the heap size of this thread in bytes. */
      heapSize: () => number
      /** Collects garbage created since the last collection. */
      collectNew: () => void
      collectAll: () => void
    },
  ) {}

  start(): void {
    this.#timer = setInterval(() => this.check(), interval)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  check(): void {
    const { heapSize, collectNew, collectAll } = this.runtime
    let size = heapSize()
    if (size - this.#size > maxNewBytes) {
      collectNew()
      size = heapSize()
      this.#size = size
    }
    if (size - this.#sizeOfAll > maxGrowth) {
      collectAll()
      size = heapSize()
      this.#size = size
      this.#sizeOfAll = size
    }
    this.#size = Math.min(this.#size, size)
    this.#sizeOfAll = Math.min(this.#sizeOfAll, size)
  }
}
