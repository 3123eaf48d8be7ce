/** Letters that are written from right to left, and characters that change the direction of the text around them. */
const directional = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/

/** Characters that begin and end isolated text (Unicode Bidirectional Algorithm). */
const firstStrongIsolate = "\u2068"
const popIsolate = "\u2069"

/**
 * Isolates user text inside a longer text, such as a title or an accessible name, so that it does not change the order
 * of the surrounding text. For elements, the style sheet does this.
 */
export function isolate(text: string): string {
  if (!directional.test(text)) return text
  // An end character inside the text would end the isolation early.
  return `${firstStrongIsolate}${text.replaceAll(popIsolate, "")}${popIsolate}`
}
