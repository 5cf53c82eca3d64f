// Limits a card to the rate of an Ethernet link: parameters of tc's token bucket with which a link carries as much as a wire. netlab.ts
// runs tc. Pure.

/** Preamble, checksum and gap of a frame, which use time on a wire and which tc does not count. */
const WIRE_EXTRA_BYTES = 24;
const FRAME_BYTES = 1514;
/** Large enough for a whole segment of the kernel; otherwise the kernel cuts each segment into frames, at great cost. */
const BURST_BYTES = 128 * 1024;
/** Never reached: TCP keeps at most two segments of a connection below itself, and each connection has its own card. */
const LIMIT_BYTES = 2 * 1024 * 1024;

/** Most bytes per second that TCP moves over such a link: 1448 of 1538 bytes on the wire. */
export function goodputBytes(bitsPerSecond: number): number {
  return (bitsPerSecond / 8) * (1448 / (FRAME_BYTES + WIRE_EXTRA_BYTES));
}

/** Arguments of `tc qdisc replace dev DEVICE root`. The handle changes an existing qdisc in place, so that queued frames stay. */
export function shaper(bitsPerSecond: number): string[] {
  const rate = Math.round((bitsPerSecond * FRAME_BYTES) / (FRAME_BYTES + WIRE_EXTRA_BYTES));
  return ['handle', '1:', 'tbf', 'rate', `${rate}bit`, 'burst', `${BURST_BYTES}`, 'limit', `${LIMIT_BYTES}`];
}
