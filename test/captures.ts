// Writes captures, pcap and pcapng, in every byte order and resolution.

export interface CapturedFrame {
  readonly bytes: Buffer
  /** Milliseconds since 1970. */
  readonly time?: number
  /** How long it was on the wire, where the capture cut it. */
  readonly originalLength?: number
}

export interface ByteOrder {
  readonly littleEndian?: boolean
}

export function pcapFile(
  frames: readonly CapturedFrame[],
  options: ByteOrder & { readonly linkType?: number; readonly nanoseconds?: boolean } = {},
): Buffer {
  const { u16, u32 } = writers(options)
  const magic = options.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4
  const header = [u32(magic), u16(2), u16(4), u32(0), u32(0), u32(262_144), u32(options.linkType ?? 1)]
  const records = frames.flatMap(({ bytes, time = 0, originalLength = bytes.length }) => {
    const seconds = Math.floor(time / 1000)
    const fraction = Math.round((time - seconds * 1000) * (options.nanoseconds ? 1e6 : 1e3))
    return [u32(seconds), u32(fraction), u32(bytes.length), u32(originalLength), bytes]
  })
  return Buffer.concat([...header, ...records])
}

export type PcapngBlock =
  | { readonly kind: 'section' }
  | {
      readonly kind: 'interface'
      readonly linkType: number
      readonly snapLength?: number
      /** The raw byte of if_tsresol. */
      readonly resolution?: number
      /** Seconds, if_tsoffset. */
      readonly offset?: number
    }
  /** `ticks` is the time stamp in the interface's resolution. */
  | {
      readonly kind: 'enhanced' | 'obsolete'
      readonly interface?: number
      readonly ticks: bigint
      readonly frame: CapturedFrame
    }
  | { readonly kind: 'simple'; readonly frame: CapturedFrame }
  | { readonly kind: 'unknown'; readonly type: number; readonly body: Buffer }

export function pcapngFile(blocks: readonly PcapngBlock[], order: ByteOrder = {}): Buffer {
  return Buffer.concat(blocks.map((block) => pcapngBlock(block, order)))
}

function pcapngBlock(block: PcapngBlock, order: ByteOrder): Buffer {
  const { u16, u32, i64 } = writers(order)
  const whole = (type: number, ...parts: Buffer[]) => {
    const body = padded(Buffer.concat(parts))
    const length = u32(body.length + 12)
    return Buffer.concat([u32(type), length, body, length])
  }
  const option = (code: number, value: Buffer) => Buffer.concat([u16(code), u16(value.length), padded(value)])
  switch (block.kind) {
    case 'section':
      return whole(0x0a0d0d0a, u32(0x1a2b3c4d), u16(1), u16(0), i64(-1n))
    case 'interface': {
      const options: Buffer[] = [option(2, Buffer.from('eth0'))]
      if (block.resolution !== undefined) options.push(option(9, Buffer.from([block.resolution])))
      if (block.offset !== undefined) options.push(option(14, i64(BigInt(block.offset))))
      return whole(1, u16(block.linkType), u16(0), u32(block.snapLength ?? 0), ...options, u32(0))
    }
    case 'enhanced':
    case 'obsolete': {
      const { bytes, originalLength = bytes.length } = block.frame
      const number = block.interface ?? 0
      const head = block.kind === 'enhanced' ? [u32(number)] : [u16(number), u16(0)]
      const stamp = [u32(Number(block.ticks >> 32n)), u32(Number(block.ticks & 0xffff_ffffn))]
      const type = block.kind === 'enhanced' ? 6 : 2
      return whole(
        type,
        ...head,
        ...stamp,
        u32(bytes.length),
        u32(originalLength),
        padded(bytes),
        option(1, Buffer.from('seen')),
      )
    }
    case 'simple':
      return whole(3, u32(block.frame.originalLength ?? block.frame.bytes.length), block.frame.bytes)
    case 'unknown':
      return whole(block.type, block.body)
  }
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}

function writers({ littleEndian = false }: ByteOrder) {
  const u16 = (value: number) => {
    const bytes = Buffer.alloc(2)
    if (littleEndian) bytes.writeUInt16LE(value)
    else bytes.writeUInt16BE(value)
    return bytes
  }
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4)
    if (littleEndian) bytes.writeUInt32LE(value)
    else bytes.writeUInt32BE(value)
    return bytes
  }
  const i64 = (value: bigint) => {
    const bytes = Buffer.alloc(8)
    if (littleEndian) bytes.writeBigInt64LE(value)
    else bytes.writeBigInt64BE(value)
    return bytes
  }
  return { u16, u32, i64 }
}
