import { describe, expect, it } from 'vitest'
import { readCrowdsecBans } from '../../scripts/siege/guards/crowdsec.ts'
import { readFail2banBans } from '../../scripts/siege/guards/fail2ban.ts'
import { readInputDrops } from '../../scripts/siege/guards/hashlimit.ts'
import { readPikeBans } from '../../scripts/siege/guards/pike.ts'
import { readEntries, readSetMemory } from '../../scripts/siege/kernel-tables.ts'

const targets = (bans: readonly { readonly target: string }[]) => bans.map(({ target }) => target)

describe('who is banned', () => {
  it('by pike is read from the log of Kamailio, each address once', () => {
    const log = [
      ' 3(811) ALERT: <script>: ALERT: pike blocking REGISTER from sip:1004@10.40.0.2 (IP:10.50.0.10:5068)',
      ' 2(810) ALERT: <script>: ALERT: pike blocking INVITE from sip:a@b (IP:10.50.0.10:5060)',
      ' 2(810) ALERT: <script>: authentication failed for 1001 from 10.60.0.10:5060',
      ' 1(809) ALERT: <script>: ALERT: pike blocking REGISTER from sip:(IP:1.1.1.1:5)@x (IP:10.60.0.11:5060)',
    ].join('\n')
    expect(targets(readPikeBans(log))).toEqual(['10.50.0.10', '10.60.0.11'])
  })

  it('by fail2ban is read from its chain alone', () => {
    const rules = [
      '-P INPUT ACCEPT',
      '-N f2b-kamailio',
      '-A INPUT -s 10.9.9.9/32 -j DROP',
      '-A f2b-kamailio -s 10.60.0.19/32 -j REJECT --reject-with icmp-port-unreachable',
      '-A f2b-kamailio -j RETURN',
    ].join('\n')
    expect(targets(readFail2banBans(rules))).toEqual(['10.60.0.19'])
  })

  it("by CrowdSec is read from its bouncer's set", () => {
    const saved =
      'create crowdsec-blacklists hash:net family inet\nadd crowdsec-blacklists 10.60.0.10 timeout 14391\n'
    expect(targets(readCrowdsecBans(saved))).toEqual(['10.60.0.10'])
  })
})

describe('what the kernel says', () => {
  it('of the rules of the recipe that drop', () => {
    const saved = [
      '[7:70] -A INPUT -p udp -m udp --dport 5060 -m string --string "REGISTER" --algo bm --to 65535 -m hashlimit --hashlimit-upto 5/sec -j ACCEPT',
      '[12:900] -A INPUT -p udp -m udp --dport 5060 -m string --string "REGISTER" --algo bm --to 65535 -j DROP',
      '[3:90] -A INPUT -p udp -m udp --dport 5060 -j DROP',
    ].join('\n')
    expect(readInputDrops(saved)).toEqual({ REGISTER: 12, SIP: 3 })
  })

  it('of the memory of sets and the entries of limits', () => {
    expect(readSetMemory('Name: a\nSize in memory: 216\n\nName: b\nSize in memory: 1000\n')).toBe(1_216)
    expect(
      readEntries('   12 /proc/net/ipt_hashlimit/a\n    3 /proc/net/ipt_hashlimit/b\n   15 total\n'),
    ).toBe(15)
    // Of one file wc says no total.
    expect(readEntries('12 /proc/net/ipt_hashlimit/a\n')).toBe(12)
  })
})
