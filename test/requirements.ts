import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * Whether a test that needs root and these programs can run here. Where it cannot it says so loudly; with
 * RINGFENCE_REQUIRE_ALL=1, as `scripts/test.sh` sets it, that is a failure and not a skip.
 */
export function canRun(needs: { readonly programs: readonly string[] }): boolean {
  const missing = needs.programs.filter((program) => !isInstalled(program))
  if (process.getuid?.() !== 0) missing.unshift('root')
  if (missing.length === 0) return true
  const sentence = `needs ${missing.join(', ')}: run sudo ./scripts/test.sh, which installs what is missing`
  if (process.env.RINGFENCE_REQUIRE_ALL === '1') throw new Error(sentence)
  console.warn(`SKIPPED: ${sentence}`)
  return false
}

function isInstalled(program: string): boolean {
  return `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
