import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { build } from 'vite'

export const CHROMIUM = '/usr/bin/chromium'

/** Debian's Chromium, which talks to nobody but the page that it is sent to. */
export function launchChromium(executablePath = CHROMIUM): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** The page, built from its sources into a folder of its own. */
export async function buildPage(): Promise<{ webRoot: string; remove: () => void }> {
  const webRoot = mkdtempSync(join(tmpdir(), 'ringfence-web-'))
  const root = fileURLToPath(new URL('../../dashboard/web', import.meta.url))
  await build({ root, logLevel: 'error', build: { outDir: webRoot, emptyOutDir: true } })
  return { webRoot, remove: () => rmSync(webRoot, { recursive: true }) }
}
