/** Ringfence by the name that the tests beside a siege's stage know it by. */
export { Ringfence as Guard } from './guards/ringfence.ts'
