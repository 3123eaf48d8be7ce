/** Codes of a column, in the smallest number of bytes per code that fits all of them. */
export type Codes = Uint8Array | Uint16Array | Uint32Array

/** Returns a view of bytes as numbers, or a copy if the bytes are not aligned. */
export function arrayOf(bytes: Uint8Array, offset: number, count: number, width: 4): Uint32Array
export function arrayOf(bytes: Uint8Array, offset: number, count: number, width: 2): Uint16Array
export function arrayOf(bytes: Uint8Array, offset: number, count: number, width: 1 | 2 | 4): Codes
export function arrayOf(bytes: Uint8Array, offset: number, count: number, width: 1 | 2 | 4): Codes {
  const at = bytes.byteOffset + offset
  if (width === 1) return new Uint8Array(bytes.buffer, at, count)
  const [buffer, start] =
    at % width === 0 ? [bytes.buffer, at] : [copyOf(bytes.subarray(offset, offset + count * width)), 0]
  return width === 2 ? new Uint16Array(buffer, start, count) : new Uint32Array(buffer, start, count)
}

/**
 * Returns the codes in 4 bytes each. Copying them and looping over the copy is several times as fast as a loop that
 * handles all array types.
 */
export function wideCodes(codes: Codes): Uint32Array {
  return codes instanceof Uint32Array ? codes : new Uint32Array(codes)
}

/**
 * Returns a copy of bytes in a buffer of its own. `slice` cannot be used for this, because it does not copy if the
 * bytes are a Buffer. SQLite returns a Buffer, which can be part of a shared pool.
 */
export function copyOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}

/** Returns a copy that is at least twice as large and has room for the position `index`. */
export function enlarge(array: Uint32Array, index: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(2 ** Math.ceil(Math.log2(index + 1)), array.length * 2))
  larger.set(array)
  return larger
}

/** Copies an array to the start of `larger` and returns `larger`. */
export function copyInto<Numbers extends Uint32Array | Int32Array | Float64Array>(
  larger: Numbers,
  array: Numbers,
): Numbers {
  larger.set(array)
  return larger
}

/**
 * `lowerBound` for doubles. There are two functions, because one for both types of array would be several times as
 * slow.
 */
export function lowerBoundOfDoubles(ascending: Float64Array, minimum: number): number {
  let [low, high] = [0, ascending.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] as number) < minimum) low = middle + 1
    else high = middle
  }
  return low
}

/** Returns the index of the first number that is not below `minimum`, starting at index `from`. */
export function lowerBound(ascending: Uint32Array, minimum: number, from = 0): number {
  let [low, high] = [from, ascending.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] as number) < minimum) low = middle + 1
    else high = middle
  }
  return low
}
