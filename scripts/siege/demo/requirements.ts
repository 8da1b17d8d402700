import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

/** Programs that the demo needs, and the Debian packages that they come with. */
const NEEDED = {
  kamailio: 'kamailio',
  cc: 'build-essential',
  iptables: 'iptables',
  ipset: 'ipset',
  ip: 'iproute2',
  taskset: 'util-linux',
} as const

/** What has to be installed first, in a sentence; null where all is there. `has`: whether a program is in the PATH. */
export function missingSentence(has: (program: string) => boolean = isInPath): string | null {
  const missing = Object.entries(NEEDED).filter(([program]) => !has(program))
  if (missing.length === 0) return null
  const packages = [...new Set(missing.map(([, name]) => name))]
  const then = packages.includes('kamailio')
    ? ' && systemctl disable --now kamailio (the demo starts its own, in a namespace)'
    : ''
  return `the demo needs ${missing.map(([program]) => program).join(', ')}: apt-get install ${packages.join(' ')}${then}`
}

function isInPath(program: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin']
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
