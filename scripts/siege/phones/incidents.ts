import type { GroupIncident, PhoneSeat } from './plan.ts'

/** Its multiples lie evenly in 0 to 1, so that an incident strikes all over a group and not its first addresses. */
const GOLDEN = 0.618_033_988_75

/** What happens to the phone with this number in its group, by the shares; null where nothing does. */
export function incidentOf(index: number, incidents: readonly GroupIncident[]): GroupIncident | null {
  let rest = (index * GOLDEN) % 1
  for (const incident of incidents) {
    if (rest < incident.share) return incident
    rest -= incident.share
  }
  return null
}

/** Where a phone registers from after it went elsewhere: nobody else is there. */
export function roamedSeat(seat: PhoneSeat): PhoneSeat {
  return { ...seat, address: `10.50.${220 + (seat.user % 10)}.${10 + (Math.floor(seat.user / 10) % 240)}` }
}

/** Where it registers from after its NAT forgot it. Phones that share an address have even ports. */
export function movedSeat(seat: PhoneSeat): PhoneSeat {
  return { ...seat, port: seat.port + 1 }
}
