/** Added to the original length of a frame that came by the second filter of a capture. No frame is so long. */
export const CAME_IN = 0x8000_0000
