import type { Command } from "commander"
import { UserError } from "../errors.ts"
import { licenseTexts } from "../license-texts.ts"
import type { Context } from "../terminal/context.ts"

export function addLicensesCommand(root: Command, context: Context): void {
  root
    .command("licenses")
    .description("print the licenses of databuddy and of everything in this executable")
    .action(async () => {
      const texts = await licenseTexts()
      if (texts === undefined) {
        throw new UserError(
          "the licenses are collected by the build, but this is not a built executable",
          "run `npm run build`, then `./databuddy licenses`",
        )
      }
      await context.outAndWait(texts)
    })
}
