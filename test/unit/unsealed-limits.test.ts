import { expect, test } from "bun:test"
import { unsealedLimits } from "../../src/columns/snapshot-reader.ts"

const mib = 1_048_576
const cases = [
  { memory: 0, bytes: 96, partBytes: 16, idBytes: 128 },
  { memory: 1, bytes: 16, partBytes: 8, idBytes: 32 },
  { memory: 128, bytes: 32, partBytes: 16, idBytes: 64 },
  { memory: 256, bytes: 64, partBytes: 16, idBytes: 128 },
  { memory: 512, bytes: 96, partBytes: 16, idBytes: 128 },
]
for (const { memory, bytes, partBytes, idBytes } of cases) {
  test(`with ${memory} MiB, unsealed rows take up to ${bytes} MiB and their ids up to ${idBytes} MiB`, () => {
    expect(unsealedLimits(memory * mib)).toEqual({
      rows: 400_000,
      bytes: bytes * mib,
      partBytes: partBytes * mib,
      idBytes: idBytes * mib,
    })
  })
}
