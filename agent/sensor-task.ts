import type { Config } from './config/config.ts'
import type { SensorSettings } from './sensor/messages.ts'

/** What the configuration says of where the sensor listens and what it judges; it is started anew when that changes. */
export function sensorTask({
  protect,
  policy,
  sensor,
  registrar,
}: Config): Omit<SensorSettings, 'known' | 'lanes'> {
  return {
    interfaces: protect.interfaces,
    engine: sensor.engine,
    udpPorts: protect.ports.udp,
    tcpPorts: protect.ports.tcp,
    destinations: protect.addresses,
    policy,
    registrarPorts: registrar.enabled ? registrar.listen.map(({ port }) => port) : [],
  }
}
