/** Added to the original length of a frame that came by the second filter of a capture. No frame is so long. */
export const CAME_IN = 0x8000_0000
/** The same for its third filter, of what this host sent in fragments or behind extension headers. */
export const WENT_OUT = 0x4000_0000
