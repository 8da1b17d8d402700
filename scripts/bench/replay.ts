import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultConfig } from '../../agent/config/read-config.ts'
import { replayCaptures } from '../../agent/replay.ts'
import { type Report, showCount } from './figures.ts'
import { type RegistersOptions, writeRegisters } from './registers-capture.ts'

const PACKETS = 500_000

const CASES: readonly (Pick<RegistersOptions, 'source' | 'messages'> & { readonly name: string })[] = [
  { name: 'one source, the same REGISTER', source: '192.0.2.7', messages: 'same' },
  { name: 'one source, every REGISTER a new one', source: '192.0.2.7', messages: 'fresh' },
  { name: 'every packet another source', source: 'random', messages: 'fresh' },
]

/**
 * The sensor's way from frame to verdict without a kernel: `ringfence replay` of a large capture. For a profile, make
 * such a capture and run `node --cpu-prof dist/agent/cli/main.js replay FILE`.
 */
export async function benchReplay(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-bench-'))
  try {
    for (const { name, ...kind } of CASES) {
      const file = join(folder, 'registers.pcap')
      writeRegisters(file, { ...kind, packets: PACKETS, destination: '198.51.100.1', perSecond: 20_000 })
      const before = process.cpuUsage()
      const { summary } = await replayCaptures({
        files: [file],
        ports: [5060],
        json: true,
        config: defaultConfig(),
        write: () => {},
        writeError: (sentence) => {
          throw new Error(sentence)
        },
      })
      const { user, system } = process.cpuUsage(before)
      if (summary.registers !== PACKETS)
        throw new Error(`${summary.registers} of ${PACKETS} REGISTERs were read`)
      report(
        `${showCount(PACKETS)} REGISTERs, ${name}: processor time a packet`,
        `${((user + system) / PACKETS).toFixed(2)} µs`,
      )
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
