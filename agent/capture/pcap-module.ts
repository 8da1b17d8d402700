/** The part of npm `pcap` that is used here. */
export interface PcapModule {
  warningHandler: (text: string) => void
  createSession(
    device: string,
    options: {
      filter: string
      buffer_size: number
      snap_length: number
      buffer_timeout: number
      promiscuous: boolean
    },
  ): PcapSession
}

export interface PcapSession {
  link_type: string
  buf: Buffer
  header: Buffer
  on(event: 'packet', listener: () => void): void
  stats(): { ps_recv: number; ps_drop: number }
  session: { read_callback: () => void; dispatch(buffer: Buffer, header: Buffer): number }
  inject(frame: Buffer): void
  close(): void
}
