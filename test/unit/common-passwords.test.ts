import { expect, test } from "bun:test"
import { isCommonPassword } from "../../src/users/common-passwords.ts"

const common = [
  "1234567890",
  "0987654321",
  "password123",
  "Password2026!",
  "qwertyuiop",
  "1q2w3e4r5t",
  "iloveyou12",
  "aaaaaaaaaa",
  "1212121212",
  "12345123451",
  "abcdefghij",
  "administrator",
  "welcome2026",
  "letmein!!!",
]
test.each(common)("%s is common", (password) => {
  expect(isCommonPassword(password)).toBe(true)
})

const others = [
  "a long pass phrase",
  "another password",
  "correct battery horse",
  "xK2!vPq9#mZ4",
  "passwords are hard",
  "1234567890 and more",
  "Großmutter backt",
  "aaaaaaaaab",
]
test.each(others)("%s is not common", (password) => {
  expect(isCommonPassword(password)).toBe(false)
})
