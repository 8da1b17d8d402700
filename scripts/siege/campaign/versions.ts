import { execa } from 'execa'

/** How a program that takes part says its version. */
const PROGRAMS = {
  kamailio: ['-v'],
  sipp: ['-v'],
  iptables: ['-V'],
  ipset: ['-v'],
  'fail2ban-server': ['--version'],
  crowdsec: ['-version'],
} as const

/** What each program that takes part says of its version; it is left out where it is not installed. */
export async function readVersions(): Promise<Readonly<Record<string, string>>> {
  const versions: Record<string, string> = { node: process.version }
  for (const [program, args] of Object.entries(PROGRAMS)) {
    const said = await execa(program, args, {
      reject: false,
      all: true,
      timeout: 10_000,
      env: { LC_ALL: 'C' },
    })
    const version = /\d+\.\d+(?:\.\d+)?[\w+~-]*/.exec(said.all ?? '')?.[0]
    if (version !== undefined) versions[program] = version
  }
  return versions
}
