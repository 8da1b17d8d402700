import { describe, expect, test } from 'vitest'
import { renderChains } from '../../rules/render-chains.ts'
import { DEFAULTS, desired, prefix } from './desired.ts'

const text = (...args: Parameters<typeof renderChains>) => [...renderChains(...args).values()].flat()

describe('chains as text', () => {
  test('IPv4 of a fresh installation', () => {
    expect(text(DEFAULTS, 4)).toEqual([
      '-A RINGFENCE -i lo -j RETURN',
      '-A RINGFENCE -i eth0 -p udp -m multiport --dports 5060 -m addrtype --dst-type LOCAL -j RINGFENCE-UDP',
      '-A RINGFENCE -i eth0 -p tcp -m multiport --dports 5060 -m addrtype --dst-type LOCAL -j RINGFENCE-TCP',
      '-A RINGFENCE-UDP -m set --match-set rf-allow4 src -j RETURN',
      '-A RINGFENCE-UDP -m set --match-set rf-sip4 src -j DROP',
      '-A RINGFENCE-UDP -p udp -m u32 --u32 "0x0>>0x16&0x3c@0x8=0x5349502f" -j RETURN',
      '-A RINGFENCE-UDP -p udp -m u32 --u32 "0x0>>0x16&0x3c@0x8=0x494e5649,0x41434b20,0x42594520,0x43414e43,0x4f505449,0x53554253,0x4e4f5449,0x494e464f,0x50524143,0x55504441" -g RINGFENCE-SIP',
      '-A RINGFENCE-UDP -p udp -m u32 --u32 "0x0>>0x16&0x3c@0x8=0x4d455353,0x52454645,0x5055424c" -g RINGFENCE-SIP',
      '-A RINGFENCE-UDP -p udp -m length --length 0:67 -m u32 --u32 "0x4&0x3fff=0x0" -j RETURN',
      '-A RINGFENCE-UDP -g RINGFENCE-REGISTER',
      '-A RINGFENCE-TCP -m set --match-set rf-allow4 src -j RETURN',
      '-A RINGFENCE-TCP -m set --match-set rf-sip4 src -j DROP',
      '-A RINGFENCE-TCP -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m set --match-set rf-reg4 src -j DROP',
      '-A RINGFENCE-TCP -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m set --match-set rf-susa4 src -j DROP',
      '-A RINGFENCE-REGISTER -m set --match-set rf-reg4 src -j DROP',
      '-A RINGFENCE-REGISTER -m set --match-set rf-susp4 src,src -j DROP',
      '-A RINGFENCE-REGISTER -m set --match-set rf-susa4 src -j DROP',
      '-A RINGFENCE-REGISTER -m hashlimit --hashlimit-above 5/sec --hashlimit-burst 10 --hashlimit-mode srcip --hashlimit-name rf-reg4-5sec-10 --hashlimit-htable-size 65536 --hashlimit-htable-max 1048576 --hashlimit-htable-expire 90000 -j DROP',
      '-A RINGFENCE-SIP -m hashlimit --hashlimit-above 20/sec --hashlimit-burst 50 --hashlimit-mode srcip --hashlimit-name rf-sip4-20sec-50 --hashlimit-htable-size 65536 --hashlimit-htable-max 1048576 --hashlimit-htable-expire 90000 -g RINGFENCE-OVER',
      '-A RINGFENCE-OVER -m set --match-set rf-wsip4 src -j RETURN',
      '-A RINGFENCE-OVER -j SET --add-set rf-wsip4 src --timeout 600',
    ])
  })

  test('IPv6 differs in sets, offsets and the /64', () => {
    const v6 = text(DEFAULTS, 6)
    expect(v6.slice(5, 9)).toEqual([
      '-A RINGFENCE-UDP -p udp -m u32 --u32 "0x3&0xff=0x11&&0x30=0x5349502f" -j RETURN',
      '-A RINGFENCE-UDP -p udp -m u32 --u32 "0x3&0xff=0x11&&0x30=0x494e5649,0x41434b20,0x42594520,0x43414e43,0x4f505449,0x53554253,0x4e4f5449,0x494e464f,0x50524143,0x55504441" -g RINGFENCE-SIP',
      '-A RINGFENCE-UDP -p udp -m u32 --u32 "0x3&0xff=0x11&&0x30=0x4d455353,0x52454645,0x5055424c" -g RINGFENCE-SIP',
      '-A RINGFENCE-UDP -p udp -m length --length 0:87 -m u32 --u32 "0x3&0xff=0x11" -j RETURN',
    ])
    expect(v6.filter((rule) => rule.includes('hashlimit'))).toEqual([
      '-A RINGFENCE-REGISTER -m hashlimit --hashlimit-above 5/sec --hashlimit-burst 10 --hashlimit-mode srcip --hashlimit-name rf-reg6-5sec-10 --hashlimit-htable-size 65536 --hashlimit-htable-max 1048576 --hashlimit-htable-expire 90000 --hashlimit-srcmask 64 -j DROP',
      '-A RINGFENCE-SIP -m hashlimit --hashlimit-above 20/sec --hashlimit-burst 50 --hashlimit-mode srcip --hashlimit-name rf-sip6-20sec-50 --hashlimit-htable-size 65536 --hashlimit-htable-max 1048576 --hashlimit-htable-expire 90000 --hashlimit-srcmask 64 -g RINGFENCE-OVER',
    ])
    expect(v6.filter((rule) => /rf-[a-z]+4/.test(rule))).toEqual([])
  })

  test('a gateway with many ports on two interfaces', () => {
    const ports = Array.from({ length: 17 }, (_, i) => 5076 - i)
    const traffic = {
      interfaces: ['eth0', 'wan+'],
      destinations: [prefix('192.0.2.0/24')],
      udpPorts: [...ports, 5060],
      tcpPorts: [],
    }
    expect(renderChains(desired({ traffic }), 4).get('RINGFENCE')).toEqual([
      '-A RINGFENCE -i lo -j RETURN',
      '-A RINGFENCE -i eth0 -p udp -m multiport --dports 5060,5061,5062,5063,5064,5065,5066,5067,5068,5069,5070,5071,5072,5073,5074 -m set --match-set rf-dst4 dst -j RINGFENCE-UDP',
      '-A RINGFENCE -i eth0 -p udp -m multiport --dports 5075,5076 -m set --match-set rf-dst4 dst -j RINGFENCE-UDP',
      '-A RINGFENCE -i wan+ -p udp -m multiport --dports 5060,5061,5062,5063,5064,5065,5066,5067,5068,5069,5070,5071,5072,5073,5074 -m set --match-set rf-dst4 dst -j RINGFENCE-UDP',
      '-A RINGFENCE -i wan+ -p udp -m multiport --dports 5075,5076 -m set --match-set rf-dst4 dst -j RINGFENCE-UDP',
    ])
  })

  test('an enforced SIP limit drops, and still lists whom', () => {
    const limits = { ...DEFAULTS.limits, sip: { perSecond: 20, burst: 50, enforced: true } }
    expect(renderChains(desired({ limits }), 4).get('RINGFENCE-OVER')).toEqual([
      '-A RINGFENCE-OVER -m set --match-set rf-wsip4 src -j DROP',
      '-A RINGFENCE-OVER -j SET --add-set rf-wsip4 src --timeout 600',
      '-A RINGFENCE-OVER -j DROP',
    ])
  })

  test.each([
    [{ perSecond: 5, burst: 10 }, '--hashlimit-above 5/sec --hashlimit-burst 10', 'rf-reg4-5sec-10'],
    [{ perSecond: 0.5, burst: 60 }, '--hashlimit-above 30/min --hashlimit-burst 60', 'rf-reg4-30min-60'],
    [
      { perSecond: 1_000_000, burst: 1_000_000 },
      '--hashlimit-above 1000000/sec',
      'rf-reg4-1000000sec-1000000',
    ],
  ])('a limit of %o has a table of its own', (register, parameters, table) => {
    const [, , , rule] = renderChains(desired({ limits: { ...DEFAULTS.limits, register } }), 4).get(
      'RINGFENCE-REGISTER',
    )!
    expect(rule).toContain(parameters)
    expect(rule).toContain(`--hashlimit-name ${table} `)
  })

  test('an entry of a slow limit is kept until its bucket is full again', () => {
    const register = { perSecond: 0.1, burst: 20 }
    const rules = text(desired({ limits: { ...DEFAULTS.limits, register } }), 4)
    expect(rules.find((rule) => rule.includes('rf-reg4-6min-20'))).toContain(
      '--hashlimit-htable-expire 200000 ',
    )
  })

  test('nothing is ever accepted, and nothing but SIP ports is matched', () => {
    for (const family of [4, 6] as const) {
      const rules = text(DEFAULTS, family)
      expect(rules.filter((rule) => rule.includes('ACCEPT'))).toEqual([])
      const entrances = rules.filter((rule) => rule.startsWith('-A RINGFENCE ') && !rule.endsWith('RETURN'))
      expect(entrances.every((rule) => rule.includes('--dports 5060 '))).toBe(true)
    }
  })
})
