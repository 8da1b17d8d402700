import { execFileSync } from 'node:child_process'
import process from 'node:process'
import { describe, expect, it } from 'vitest'
import { readCrowdsecBans } from '../../scripts/siege/guards/crowdsec.ts'
import { readFail2banBans } from '../../scripts/siege/guards/fail2ban.ts'
import { readInputDrops } from '../../scripts/siege/guards/hashlimit.ts'
import { readPikeBans } from '../../scripts/siege/guards/pike.ts'
import { added, figuresOfEnded, figuresOfProcesses, readRings } from '../../scripts/siege/guards/processes.ts'
import { readEntries, readSetMemory } from '../../scripts/siege/kernel-tables.ts'
import { larger, memoryOf } from '../../scripts/siege/watch.ts'

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

describe("what a guard's processes take", () => {
  it('holds the rings of captures, which are named apart', () => {
    const smaps = [
      '7f0000000000-7f0001000000 rw-s 00000000 00:09 1234                       socket:[1234]',
      'Rss:               16384 kB',
      'Pss:               16384 kB',
      'Pss_Dirty:             0 kB',
      '7f0001000000-7f0001400000 rw-p 00000000 00:00 0',
      'Pss:                4096 kB',
      '7f0001400000-7f0001500000 rw-s 00000000 00:09 1235                       socket:[1235]',
      'Pss:                1024 kB',
    ].join('\n')
    expect(readRings(smaps)).toBe(17_408 * 1_024)
  })

  it('is told of one that runs, and of what it waited for; of one that is no more nothing', () => {
    const pid = process.pid
    const before = figuresOfEnded(pid).user
    execFileSync(process.execPath, ['-e', 'const end = Date.now() + 150; while (Date.now() < end);'])
    expect(figuresOfEnded(pid).user).toBeGreaterThanOrEqual(before + 50)
    const own = figuresOfProcesses([pid])
    expect(own.rings).toBe(0)
    expect(own.user).toBeGreaterThan(0)
    expect(own.memory).toBeGreaterThan(10_000_000)
    expect(own.memory).toBeLessThanOrEqual(process.memoryUsage().rss * 1.2)
    expect(figuresOfProcesses([2 ** 22 + 1])).toEqual({ user: 0, system: 0, memory: 0, rings: 0 })
  })

  it('was most when all together held the most', () => {
    const process = (memory: number, rings = 0) => ({ user: 1, system: 2, memory, rings })
    const atFirst = memoryOf({ daemon: process(50), capture: process(60, 40) })
    const later = memoryOf({ daemon: process(80), capture: process(20) })
    expect(larger(atFirst, later)).toEqual({ kinds: { daemon: 50, capture: 60 }, rings: 40 })
    expect(larger(later, atFirst)).toBe(atFirst)
    expect(added(process(1, 2), process(3, 4))).toEqual({ user: 2, system: 4, memory: 4, rings: 6 })
  })
})
