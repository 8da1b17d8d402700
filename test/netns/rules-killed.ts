import { readFileSync } from 'node:fs'
import type { DesiredState } from '../../rules/desired-state.ts'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel, type IptablesKernelOptions } from '../../rules/iptables-kernel.ts'

// A program that has the kernel brought from one state to the next, again and again, until somebody kills it.
// node rules-killed.js NETNS IPTABLES STATES.json

const [netns, iptables, file] = process.argv.slice(2) as [string, IptablesKernelOptions['iptables'], string]
const states = JSON.parse(readFileSync(file, 'utf8')) as readonly DesiredState[]
const kernel = new IptablesKernel({ netns, ...(iptables ? { iptables } : {}) })
const engine = new RulesEngine({ kernel, clock: Date.now })
console.log('begun')
for (let i = 0; ; i++) {
  engine.setDesired(states[i % states.length]!)
  await engine.settled()
  const { state, lastError } = engine.status()
  if (lastError) throw new Error(`${state}: ${lastError.message} ${lastError.line}`)
  console.log(`state ${i % states.length}`)
}
