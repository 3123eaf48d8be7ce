// Writes small files in MaxMind's mmdb format, version 2: https://maxmind.github.io/MaxMind-DB/

type Value = string | number | Value[] | { [name: string]: Value }

/** A file with a record for each IPv4 network in CIDR notation. Networks must not overlap. `builtAt` is in Unix ms. */
export function mmdbFile(records: Record<string, Value>, builtAt: number): Buffer {
  // A node has a child for each bit: the index of a node, the text of a network with a record, or nothing.
  const nodes: [number | string | undefined, number | string | undefined][] = [[undefined, undefined]]
  for (const network of Object.keys(records)) {
    const [address = "", length] = network.split("/")
    const bits = address.split(".").map((part) => Number(part).toString(2).padStart(8, "0"))
    const path = [...bits.join("").slice(0, Number(length))].map(Number)
    let node = 0
    for (const [depth, bit] of path.entries()) {
      const children = nodes[node] ?? [undefined, undefined]
      if (depth === path.length - 1) children[bit] = network
      else {
        const next = children[bit]
        node = typeof next === "number" ? next : nodes.push([undefined, undefined]) - 1
        children[bit] = node
      }
    }
  }
  const offsets = new Map<string, number>()
  const data: Buffer[] = []
  let size = 0
  for (const [network, record] of Object.entries(records)) {
    offsets.set(network, size)
    const bytes = encode(record)
    data.push(bytes)
    size += bytes.length
  }
  const tree = Buffer.alloc(nodes.length * 6)
  for (const [index, children] of nodes.entries()) {
    for (const [side, child] of children.entries()) {
      // Records come after the tree and 16 zero bytes. The number of nodes means that there is no record.
      const found = typeof child === "string" ? nodes.length + 16 + (offsets.get(child) ?? 0) : child
      tree.writeUIntBE(found ?? nodes.length, index * 6 + side * 3, 3)
    }
  }
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: Math.floor(builtAt / 1_000),
    database_type: "Test",
    description: {},
    ip_version: 4,
    languages: [],
    node_count: nodes.length,
    record_size: 24,
  })
  const marker = Buffer.from("\xab\xcd\xefMaxMind.com", "latin1")
  return Buffer.concat([tree, Buffer.alloc(16), ...data, marker, metadata])
}

function encode(value: Value): Buffer {
  if (typeof value === "string")
    return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === "number") {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return Buffer.concat([control(6, 4), bytes])
  }
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)])
  const entries = Object.entries(value)
  return Buffer.concat([control(7, entries.length), ...entries.flat().map(encode)])
}

/** The type and size of a value. Types above 7 need another byte, and so do sizes of 29 and more. */
function control(type: number, size: number): Buffer {
  const [short, rest] = size < 29 ? [size, []] : [29, [size - 29]]
  return Buffer.from(type > 7 ? [short, type - 7, ...rest] : [(type << 5) | short, ...rest])
}
