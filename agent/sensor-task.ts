import { SAMPLE_LIMIT } from '../rules/limit-tables.ts'
import type { Config } from './config/config.ts'
import type { HostFacts } from './config/kernel-sizes.ts'
import { logGroupOf } from './config/log-group.ts'
import type { SensorSettings } from './sensor/messages.ts'

/** What the configuration says of where the sensor listens and what it judges; it is started anew when that changes. */
export function sensorTask(config: Config, host: HostFacts): Omit<SensorSettings, 'known' | 'lanes'> {
  const { protect, policy, sensor, registrar, evidence } = config
  return {
    sampling: { ...logGroupOf(config, host), samplesPerSecond: SAMPLE_LIMIT.perSecond },
    interfaces: protect.interfaces,
    engine: sensor.engine,
    udpPorts: protect.ports.udp,
    tcpPorts: protect.ports.tcp,
    destinations: protect.addresses,
    policy,
    logs: evidence,
    registrarPorts: registrar.enabled ? registrar.listen.map(({ port }) => port) : [],
  }
}
