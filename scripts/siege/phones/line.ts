import { createSocket, type Socket } from 'node:dgram'

/** RFC 3261, 17.1.2 and its table 4, in milliseconds. */
const T1 = 500
const T2 = 4_000
const TIMER_F = 64 * T1

export interface Response {
  readonly status: number
  readonly text: string
}

/** One UDP address and port of a phone, and the transactions on it: one at a time. */
export class Line {
  readonly #socket: Socket
  #hear: ((response: Response) => void) | undefined
  #cseq: number | undefined
  #abandon: (() => void) | undefined
  packetsSent = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('message', (bytes) => {
      const text = bytes.toString('latin1')
      const status = /^SIP\/2\.0 (\d{3}) /.exec(text)?.[1]
      const cseq = /^CSeq:\s*(\d+) (?:REGISTER|OPTIONS)/im.exec(text)?.[1]
      if (status !== undefined && Number(cseq) === this.#cseq) this.#hear?.({ status: Number(status), text })
    })
    // An unreachable softswitch is one that does not answer: the retransmissions go on.
    socket.on('error', () => {})
  }

  static open(
    from: { readonly address: string; readonly port: number },
    to: { readonly address: string; readonly port: number },
  ): Promise<Line> {
    return new Promise((resolve, reject) => {
      const socket = createSocket('udp4')
      socket.once('error', reject)
      socket.bind({ address: from.address, port: from.port, exclusive: true }, () => {
        socket.connect(to.port, to.address, () => {
          socket.removeListener('error', reject)
          resolve(new Line(socket))
        })
      })
    })
  }

  /**
   * A non-INVITE client transaction (RFC 3261 17.1.2): the final response, or null when Timer F fires. One that is still
   * open is given up.
   */
  transact(request: string, cseq: number): Promise<Response | null> {
    this.#abandon?.()
    const bytes = Buffer.from(request, 'latin1')
    this.#cseq = cseq
    return new Promise((resolve) => {
      let interval = T1
      let timerE: NodeJS.Timeout
      const finish = (response: Response | null) => {
        clearTimeout(timerE)
        clearTimeout(timerF)
        this.#hear = undefined
        this.#abandon = undefined
        resolve(response)
      }
      const timerF = setTimeout(() => finish(null), TIMER_F)
      const send = () => {
        this.packetsSent += 1
        this.#socket.send(bytes, () => {})
        timerE = setTimeout(send, interval)
        interval = Math.min(2 * interval, T2)
      }
      this.#abandon = () => finish(null)
      this.#hear = (response) => {
        if (response.status >= 200) finish(response)
        else interval = T2
      }
      send()
    })
  }

  close(): void {
    this.#abandon?.()
    this.#socket.close()
  }
}
