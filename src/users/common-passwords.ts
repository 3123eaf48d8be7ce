/**
 * Common passwords of 10 characters or more, in lower case. Trailing digits and symbols are left out, so that one entry
 * covers many passwords: `password` covers `Password2026!`.
 */
const commonWords: ReadonlySet<string> = new Set([
  "password",
  "passwort",
  "passwords",
  "passw0rd",
  "p@ssword",
  "p@ssw0rd",
  "mypassword",
  "yourpassword",
  "passwordpassword",
  "motdepasse",
  "contraseña",
  "contrasena",
  "qwerty",
  "qwertyui",
  "qwertyuiop",
  "qwertyqwerty",
  "qwertz",
  "qwertzuiop",
  "azerty",
  "azertyuiop",
  "asdfgh",
  "asdfghjkl",
  "asdfasdf",
  "zxcvbnm",
  "qazwsx",
  "qazwsxedc",
  "1q2w3e4r5t",
  "1q2w3e4r5t6y",
  "1qaz2wsx3edc",
  "q1w2e3r4t5",
  "q1w2e3r4t5y6",
  "abcdefghij",
  "abcdefgh",
  "abcdef",
  "abc",
  "iloveyou",
  "iloveyouforever",
  "letmein",
  "letmeinplease",
  "welcome",
  "welcometo",
  "changeme",
  "changemenow",
  "administrator",
  "admin",
  "adminadmin",
  "superman",
  "superuser",
  "batman",
  "football",
  "baseball",
  "basketball",
  "liverpool",
  "chocolate",
  "princess",
  "sunshine",
  "dragon",
  "monkey",
  "starwars",
  "trustno",
  "computer",
  "internet",
  "whatever",
  "secret",
  "topsecret",
  "supersecret",
  "test",
  "testtest",
  "testing",
  "default",
  "login",
  "master",
  "hello",
  "helloworld",
  "databuddy",
  "analytics",
  "correcthorsebatterystaple",
])

/** A password that is part of one of these strings is a sequence, such as 1234567890. */
const runs = ["01234567890123456789", "09876543210987654321", "abcdefghijklmnopqrstuvwxyz"]

/**
 * Returns true if a password is among the passwords that attackers try first: a common word with digits and symbols, a
 * few repeated characters, or a sequence.
 */
export function isCommonPassword(password: string): boolean {
  const lower = password.toLowerCase()
  const word = lower.replace(/[^\p{L}]+$/u, "")
  if (commonWords.has(lower) || commonWords.has(word)) return true
  if (runs.some((run) => run.includes(lower))) return true
  // For example aaaaaaaaaa, 1212121212 or 12345123451.
  return isRepeated(lower)
}

/**
 * Returns true if a string consists of repetitions of at most five characters. The last repetition can be incomplete.
 */
function isRepeated(text: string): boolean {
  for (let length = 1; length <= 5; length++)
    if (
      text
        .slice(0, length)
        .repeat(Math.ceil(text.length / length))
        .startsWith(text)
    )
      return true
  return false
}
