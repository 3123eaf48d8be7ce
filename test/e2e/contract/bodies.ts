import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib"
import { accepted, type Case, plainEvent, rejected } from "./cases.ts"

const limit = 2 * 1024 * 1024

/** Returns the JSON of an event, padded to exactly `bytes` with an unknown field. */
export function bodyOf(bytes: number, filler = "x"): Buffer {
  const [head, tail] = ['{"name":"e","pad":"', '"}']
  const room = bytes - head.length - tail.length
  const size = Buffer.byteLength(filler)
  return Buffer.from(head + filler.repeat(Math.floor(room / size)) + "x".repeat(room % size) + tail)
}

function replaced(text: string, bytes: number[]): Buffer {
  const [before = "", after = ""] = text.split("#")
  return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])
}

const plain = Buffer.from(JSON.stringify(plainEvent))
const gzip = { "content-encoding": "gzip" }

const sizeCases: Case[] = [
  { name: "a body of 2 MiB is accepted", sent: { body: bodyOf(limit) }, answer: accepted([{}]) },
  {
    name: "a body of 2 MiB plus one byte is rejected",
    sent: { body: bodyOf(limit + 1) },
    answer: rejected("payload_too_large"),
  },
  {
    name: "the size of a body is counted in bytes, not characters",
    sent: { body: bodyOf(limit + 1, "語") },
    answer: rejected("payload_too_large"),
  },
  { name: "gzip is accepted", sent: { headers: gzip, body: gzipSync(plain) }, answer: accepted([{}]) },
  {
    name: "GZIP in capitals is accepted",
    sent: { headers: { "content-encoding": "GZIP" }, body: gzipSync(plain) },
    answer: accepted([{}]),
  },
  {
    name: "the encoding identity means no encoding",
    sent: { headers: { "content-encoding": "identity" }, body: plain },
    answer: accepted([{}]),
  },
  {
    name: "2 MiB after decompression are accepted",
    sent: { headers: gzip, body: gzipSync(bodyOf(limit)) },
    answer: accepted([{}]),
  },
  {
    name: "2 MiB plus one byte after decompression are rejected",
    sent: { headers: gzip, body: gzipSync(bodyOf(limit + 1)) },
    answer: rejected("payload_too_large"),
  },
  {
    name: "a gzip bomb of 200 MiB is rejected",
    sent: { headers: gzip, body: gzipSync(Buffer.alloc(200 * 1024 * 1024, 32), { level: 1 }) },
    answer: rejected("payload_too_large"),
  },
  ...Object.entries({
    "plain JSON declared as gzip": plain,
    "truncated gzip": gzipSync(bodyOf(1_000)).subarray(0, -12),
    "gzip with a wrong checksum": withLastBytes(gzipSync(plain), 8),
    "deflate declared as gzip": deflateSync(plain),
    "an empty body declared as gzip": Buffer.alloc(0),
  }).map(([what, body]) => ({
    name: `${what} is rejected`,
    sent: { headers: gzip, body },
    answer: rejected("invalid_gzip"),
  })),
  {
    name: "gzip without Content-Encoding is rejected",
    sent: { body: gzipSync(plain) },
    answer: rejected("invalid_utf8"),
  },
  ...Object.entries({
    br: brotliCompressSync(plain),
    deflate: deflateSync(plain),
    zstd: plain,
    "gzip, gzip": gzipSync(gzipSync(plain)),
  }).map(([encoding, body]) => ({
    name: `the content encoding ${encoding} is rejected`,
    sent: { headers: { "content-encoding": encoding }, body },
    answer: rejected("unsupported_content_encoding"),
  })),
]

function withLastBytes(bytes: Buffer, count: number): Buffer {
  return Buffer.concat([bytes.subarray(0, -count), Buffer.alloc(count, 0xff)])
}

const typeCases: Case[] = [
  ...[
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON;charset=UTF-8",
    "text/plain",
    "text/plain;charset=UTF-8",
    "application/x-www-form-urlencoded",
    "",
    null,
  ].map((type) => ({
    name: `JSON is accepted with ${type === null ? "no content type" : `the content type '${type}'`}`,
    sent: { headers: { "content-type": type }, body: plain },
    answer: accepted([{}]),
  })),
  ...[
    "text/html",
    "application/xml",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "application/jsonp",
    "json",
  ].map((type) => ({
    name: `the content type ${type} is rejected`,
    sent: { headers: { "content-type": type }, body: plain },
    answer: rejected("unsupported_content_type"),
  })),
  {
    name: "a form is not JSON",
    sent: { headers: { "content-type": "application/x-www-form-urlencoded" }, body: "name=e&source=form" },
    answer: rejected("invalid_json"),
  },
]

const deep = 100_000

const textCases: Case[] = [
  ...Object.entries({
    "an empty body": "",
    whitespace: "  \n",
    "a truncated object": '{"name":"e"',
    "a truncated string": '{"name":"e',
    "a trailing comma": '{"name":"e",}',
    "two values": '{"name":"e"}{"name":"e"}',
    "one object per line": '{"name":"e"}\n{"name":"e"}',
    "single quotes": "{'name':'e'}",
    "a comment": '{"name":"e"/* why */}',
    NaN: '{"name":"e","timestamp":NaN}',
    "a leading zero": '{"name":"e","timestamp":01}',
    "a raw line break in a string": '{"name":"a\nb"}',
    "a raw NUL": '{"name":"a\0b"}',
    "plain words": "name is e",
  }).map(([what, body]) => ({
    name: `invalid JSON is rejected: ${what}`,
    sent: { body },
    answer: rejected("invalid_json"),
  })),
  ...Object.entries({
    "a byte that cannot start a character": [0xff],
    "a truncated character": [0xe8, 0xaa],
    "an overlong slash": [0xc0, 0xaf],
    "an overlong NUL": [0xc0, 0x80],
    "half a surrogate pair": [0xed, 0xa0, 0xb4],
    "a character beyond Unicode": [0xf4, 0x90, 0x80, 0x80],
    "Latin-1": [0xe9],
  }).map(([what, bytes]) => ({
    name: `a body with ${what} is not UTF-8`,
    sent: { body: replaced('{"name":"a#b"}', bytes) },
    answer: rejected("invalid_utf8"),
  })),
  {
    name: "a body in UTF-16 is not UTF-8",
    sent: { body: Buffer.from('\ufeff{"name":"e"}', "utf16le") },
    answer: rejected("invalid_utf8"),
  },
  {
    name: "invalid UTF-8 is rejected in unknown fields too",
    sent: { body: replaced('{"name":"e","other":"#"}', [0xff]) },
    answer: rejected("invalid_utf8"),
  },
  ...Object.entries({
    "brackets that never close": "[".repeat(deep),
    "braces that never close": '{"a":'.repeat(deep),
  }).map(([what, body]) => ({
    name: `${deep} ${what} are rejected before parsing`,
    sent: { body },
    answer: rejected("nesting_too_deep"),
  })),
]

const quoted = JSON.stringify(`\\"${"[{".repeat(500)}\\`)

const nestingCases: Case[] = [
  {
    name: "brackets in strings do not count as nesting, even next to escaped quotes and backslashes",
    sent: { body: `{"name":"e","a":${quoted},"b":[${quoted},${quoted}]}` },
    answer: accepted([{}]),
  },
  {
    name: "a thousand consecutive arrays do not count as nesting",
    sent: { body: `{"name":"e","a":[${Array(1_000).fill("[[]]").join(",")}]}` },
    answer: accepted([{}]),
  },
  ...Object.entries({ arrays: ["[", "]"], objects: ['{"a":', "1}"] }).map(
    ([what, [open = "", close = ""]]) => ({
      name: `129 levels of ${what} in an unknown field are rejected`,
      sent: {
        body: `{"name":"e","b":"]}","other":${open.repeat(128)}${close.repeat(128).replaceAll("1}1", "}1")}}`,
      },
      answer: rejected("nesting_too_deep"),
    }),
  ),
]

export const bodyCases: Case[] = [...sizeCases, ...typeCases, ...textCases, ...nestingCases]

/** Bodies that are rejected before they are parsed. */
export const deepBodies: Record<string, string> = {
  "an array as the body": "[".repeat(deep) + "]".repeat(deep),
  "an array in properties": `{"name":"e","properties":{"a":${"[".repeat(deep)}${"]".repeat(deep)}}}`,
  "an object in properties": `{"name":"e","properties":${'{"a":'.repeat(deep)}1${"}".repeat(deep)}}`,
  "an object as a name": `{"name":${'{"a":'.repeat(deep)}1${"}".repeat(deep)}}`,
}
