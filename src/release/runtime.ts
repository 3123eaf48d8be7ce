/** A library that is statically linked into the Bun executable, with the SPDX name of its license. */
export interface RuntimeLibrary {
  name: string
  license: string
  url: string
}

/** Bun's package does not contain license texts, so its libraries are listed here, as in Bun's documentation. */
export const runtimeLibraries: readonly RuntimeLibrary[] = [
  { name: "Bun", license: "MIT", url: "https://github.com/oven-sh/bun" },
  { name: "JavaScriptCore (WebKit)", license: "LGPL-2.0-only", url: "https://github.com/oven-sh/WebKit" },
  { name: "TinyCC", license: "LGPL-2.1-only", url: "https://github.com/tinycc/tinycc" },
  { name: "BoringSSL", license: "Apache-2.0", url: "https://boringssl.googlesource.com/boringssl" },
  { name: "Brotli", license: "MIT", url: "https://github.com/google/brotli" },
  { name: "c-ares", license: "MIT", url: "https://github.com/c-ares/c-ares" },
  { name: "Highway", license: "Apache-2.0", url: "https://github.com/google/highway" },
  { name: "ICU", license: "Unicode-3.0", url: "https://github.com/unicode-org/icu" },
  { name: "libarchive", license: "BSD-2-Clause", url: "https://github.com/libarchive/libarchive" },
  { name: "base64", license: "BSD-2-Clause", url: "https://github.com/aklomp/base64" },
  { name: "libdeflate", license: "MIT", url: "https://github.com/ebiggers/libdeflate" },
  { name: "libjpeg-turbo", license: "BSD-3-Clause", url: "https://github.com/libjpeg-turbo/libjpeg-turbo" },
  { name: "libspng", license: "BSD-2-Clause", url: "https://github.com/randy408/libspng" },
  { name: "libuv (Windows)", license: "MIT", url: "https://github.com/libuv/libuv" },
  { name: "libwebp", license: "BSD-3-Clause", url: "https://github.com/webmproject/libwebp" },
  { name: "lol-html", license: "BSD-3-Clause", url: "https://github.com/cloudflare/lol-html" },
  { name: "ls-hpack", license: "MIT", url: "https://github.com/litespeedtech/ls-hpack" },
  { name: "ls-qpack", license: "MIT", url: "https://github.com/litespeedtech/ls-qpack" },
  { name: "lsquic", license: "MIT", url: "https://github.com/litespeedtech/lsquic" },
  { name: "mimalloc", license: "MIT", url: "https://github.com/microsoft/mimalloc" },
  { name: "picohttpparser", license: "MIT", url: "https://github.com/h2o/picohttpparser" },
  { name: "simdutf", license: "Apache-2.0", url: "https://github.com/simdutf/simdutf" },
  { name: "uSockets", license: "Apache-2.0", url: "https://github.com/uNetworking/uSockets" },
  { name: "uWebSockets", license: "Apache-2.0", url: "https://github.com/uNetworking/uWebSockets" },
  { name: "uucode", license: "MIT", url: "https://github.com/jacobsandlund/uucode" },
  { name: "zlib-ng", license: "Zlib", url: "https://github.com/zlib-ng/zlib-ng" },
  { name: "Zstandard", license: "BSD-3-Clause", url: "https://github.com/facebook/zstd" },
]
