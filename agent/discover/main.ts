import { buildDiscovery, describeDiscovery } from './discovery.ts'
import { chooseInterfaces } from './interfaces.ts'
import { readLinkFacts } from './link-facts.ts'
import { readForwardedPorts, readListeners } from './listeners.ts'
import { chooseSipPorts } from './sip-ports.ts'

// Prints what was found as one JSON object on standard output and, for the person who installs, as text on standard
// error. Exit code 3: there is no usable interface.
try {
  const [links, listeners, forwarded] = await Promise.all([
    readLinkFacts(),
    readListeners(),
    readForwardedPorts(),
  ])
  const discovery = buildDiscovery(chooseInterfaces(links), chooseSipPorts(listeners, forwarded))
  process.stdout.write(`${JSON.stringify(discovery)}\n`)
  process.stderr.write(describeDiscovery(discovery))
  if (discovery.interfaces.length === 0) process.exitCode = 3
} catch (error) {
  const detail = error instanceof Error ? error.message : String(error)
  process.stderr.write(`Looking for interfaces and SIP ports failed: ${detail}\n`)
  process.exitCode = 1
}
