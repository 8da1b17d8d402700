import { readFileSync } from 'node:fs'
import type { SoftswitchAdditions } from '../softswitch.ts'
import type { Ban, SiegeGuard } from './guard.ts'
import type { ProcessFigures } from './processes.ts'

/** Seconds that the htable remembers a banned address. */
const BAN = 300

/**
 * Kamailio's flood protection as its default configuration has it with WITH_ANTIFLOOD (kamailio.cfg of 5.6: `pike` with
 * sampling 2 s, density 16, latency 4, and the htable `ipban` of 300 s).
 */
export const PIKE: SoftswitchAdditions = {
  modules: `loadmodule "htable.so"
loadmodule "pike.so"
modparam("pike", "sampling_time_unit", 2)
modparam("pike", "reqs_density_per_unit", 16)
modparam("pike", "remove_latency", 4)
modparam("htable", "htable", "ipban=>size=8;autoexpire=${BAN};")`,
  atRequest: `if (src_ip != myself) {
    if ($sht(ipban=>$si) != $null) { exit; }
    if (!pike_check_req()) {
      xlog("L_ALERT", "ALERT: pike blocking $rm from $fu (IP:$si:$sp)\\n");
      $sht(ipban=>$si) = 1;
      exit;
    }
  }`,
}

/** Kamailio's pike: whoever sends too much is not heard by the softswitch, which still has to read him. */
export class Pike implements SiegeGuard {
  readonly #log: string

  /** `log` is the softswitch's. */
  constructor(log: string) {
    this.#log = log
  }

  async start(): Promise<void> {}

  async end(): Promise<void> {}

  /** The softswitch itself does it, beside all else that it does. */
  figures(): Readonly<Record<string, ProcessFigures>> {
    return {}
  }

  async banned(): Promise<readonly Ban[]> {
    return readPikeBans(readFileSync(this.#log, 'latin1'))
  }

  async dropsByRule(): Promise<Readonly<Record<string, number>>> {
    return {}
  }
}

/** Everybody whom Kamailio's log says to be blocked: each for 300 s, which is longer than a siege. */
export function readPikeBans(log: string): readonly Ban[] {
  const bans = new Map<string, Ban>()
  // What stands before the end of the line is the sender's own word.
  for (const [, method, address] of log.matchAll(
    /ALERT: pike blocking ([A-Z]{1,20}) .*\(IP:([\d.]+):\d+\)$/gm,
  )) {
    if (bans.has(address!)) continue
    bans.set(address!, { id: address!, target: address!, by: 'pike', reason: `too many requests, ${method}` })
  }
  return [...bans.values()]
}
