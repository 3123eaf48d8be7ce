/** A color as sRGB channels from 0 to 1. */
export type Rgb = readonly [red: number, green: number, blue: number]

/** Parses #rrggbb. */
export function parseHex(text: string): Rgb {
  const digits = /^#([0-9a-f]{6})$/.exec(text)?.[1]
  if (digits === undefined) throw new Error(`Not a color in the form #rrggbb: ${text}`)
  const channel = (at: number) => Number.parseInt(digits.slice(at, at + 2), 16) / 255
  return [channel(0), channel(2), channel(4)]
}

/** Mixes `share` of `color` with `ground`, as `color-mix(in srgb, …)` does. */
export function mix(color: Rgb, share: number, ground: Rgb): Rgb {
  const at = (index: 0 | 1 | 2) => color[index] * share + ground[index] * (1 - share)
  return [at(0), at(1), at(2)]
}

function linear(channel: number): number {
  return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
}

function gamma(channel: number): number {
  const value = Math.max(0, Math.min(1, channel))
  return value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055
}

/** Relative luminance, from 0 to 1. */
function luminance([red, green, blue]: Rgb): number {
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

/** Contrast by WCAG 2, from 1 to 21. */
export function contrast(one: Rgb, other: Rgb): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}

type Matrix = readonly [Rgb, Rgb, Rgb]

function multiply(matrix: Matrix, [x, y, z]: Rgb): Rgb {
  const row = ([a, b, c]: Rgb) => a * x + b * y + c * z
  return [row(matrix[0]), row(matrix[1]), row(matrix[2])]
}

/** Complete deficiencies (severity 1) in linear RGB, by Machado, Oliveira and Fernandes (2009). */
const deficiencies = {
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
} as const satisfies Record<string, Matrix>

/** The color as someone with the deficiency sees it. */
export function simulate(deficiency: keyof typeof deficiencies, [red, green, blue]: Rgb): Rgb {
  const [r, g, b] = multiply(deficiencies[deficiency], [linear(red), linear(green), linear(blue)])
  return [gamma(r), gamma(g), gamma(b)]
}

/** Linear RGB to XYZ, relative to the white point D65. */
const toXyz: Matrix = [
  [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
  [0.2126729, 0.7151522, 0.072175],
  [0.0193339 / 1.08883, 0.119192 / 1.08883, 0.9503041 / 1.08883],
]

/** CIELAB: lightness from 0 to 100, and two axes of hue. */
export function lab([red, green, blue]: Rgb): [lightness: number, a: number, b: number] {
  const [x, y, z] = multiply(toXyz, [linear(red), linear(green), linear(blue)])
  const f = (t: number) => (t > 216 / 24_389 ? Math.cbrt(t) : (24_389 / 27) * (t / 116) + 16 / 116)
  return [116 * f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))]
}

/** The difference between two colors by CIE76. A difference of about 2 is just noticeable side by side. */
export function difference(one: Rgb, other: Rgb): number {
  const [first, second] = [lab(one), lab(other)]
  return Math.hypot(first[0] - second[0], first[1] - second[1], first[2] - second[2])
}
