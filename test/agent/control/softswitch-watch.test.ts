import { describe, expect, it } from 'vitest'
import { SoftswitchWatch } from '../../../agent/control/softswitch-watch.ts'
import type { NonceSharing } from '../../../agent/observe/nonce-sharing.ts'
import type { PortSight } from '../../../agent/observe/sight.ts'

const NOW = 1_700_000_000_000
const SHARED: NonceSharing = {
  server: '198.51.100.1:5060',
  state: 'shared',
  since: NOW,
  shared: 3,
  unique: 0,
}
const UDP: PortSight = { port: 5060, transport: 'udp', state: 'sighted', since: NOW, detail: 'both are seen' }

function stage(setting?: string) {
  const lines: string[] = []
  const settings = new Map<string, string>(setting === undefined ? [] : [['nonce-sharing', setting]])
  const watch = () =>
    new SoftswitchWatch({
      journal: {
        setting: (name) => settings.get(name),
        putSetting: (name, value) => settings.set(name, value),
      },
      log: {
        info: (_, sentence) => lines.push(`info ${sentence}`),
        warn: (_, sentence) => lines.push(`warn ${sentence}`),
      },
      keep: (write) => write(),
    })
  return { lines, watch }
}

describe('what is known of the softswitch', () => {
  it('outlives a restart where it is about its nonces, and names the setting that mends them', () => {
    const { watch, lines } = stage()
    watch().summarised({ sight: [], nonces: [SHARED] })
    const after = watch()
    expect(after.nonces).toEqual([SHARED])
    expect(after.nonceViews[0]!.detail).toContain('modparam("auth", "nonce_count", 1)')
    after.summarised({ sight: [], nonces: [SHARED] })
    expect(lines).toHaveLength(1)
  })

  it.each(['', 'not json', '{}', '[null, 7, {"server": 5}]'])(
    'begins anew where the journal holds %j',
    (text) => {
      expect(stage(text).watch().nonces).toEqual([])
    },
  )

  it('is said once in the log when a port cannot be read any more, and once when it can', () => {
    const { watch, lines } = stage()
    const known = watch()
    const half: PortSight = { ...UDP, state: 'half-sighted', detail: 'no answers are seen' }
    for (const sight of [UDP, UDP, half, half, UDP, UDP]) known.summarised({ sight: [sight], nonces: [] })
    expect(lines).toEqual([
      'warn Not all is seen of udp port 5060: no answers are seen.',
      'info All is seen of udp port 5060 again.',
    ])
    expect(known.sightViews).toEqual([UDP])
  })

  it('is said of a port that cannot be read from the beginning', () => {
    const { watch, lines } = stage()
    const blind: PortSight = { ...UDP, port: 5061, transport: 'tcp', state: 'blind', detail: 'it is TLS' }
    watch().summarised({ sight: [blind], nonces: [] })
    expect(lines).toEqual(['warn Not all is seen of tcp port 5061: it is TLS.'])
  })
})
