import { besideKamailio } from './beside-kamailio.ts'

besideKamailio({ sharedNonces: false })
