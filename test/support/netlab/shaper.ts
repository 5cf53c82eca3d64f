// Computes the parameters with which the token bucket of tc limits a card to the rate of an Ethernet link. A shaped link then carries as
// much as a real wire. netlab.ts runs tc. Pure.

/** Preamble, checksum and gap of a frame. Preamble, checksum and gap take time on a wire, but tc does not count them. */
const WIRE_EXTRA_BYTES = 24;
const FRAME_BYTES = 1514;
/**
 * Size of the token bucket. The bucket is large enough for a whole segment of the kernel; otherwise the kernel would cut each segment into
 * frames, which takes much processor time.
 */
const BURST_BYTES = 128 * 1024;
/**
 * Maximum number of queued bytes of a card. The limit is never reached, because TCP keeps at most two segments of a connection in the
 * queue, and each connection has its own card.
 */
const LIMIT_BYTES = 2 * 1024 * 1024;

/** Maximum bytes of data per second that TCP moves over a link of this rate: 1448 of each 1538 bytes on the wire. */
export function goodputBytes(bitsPerSecond: number): number {
  return (bitsPerSecond / 8) * (1448 / (FRAME_BYTES + WIRE_EXTRA_BYTES));
}

/** Arguments of `tc qdisc replace dev DEVICE root`. Because of the handle, tc changes an existing qdisc and keeps its frames. */
export function shaper(bitsPerSecond: number): string[] {
  const rate = Math.round((bitsPerSecond * FRAME_BYTES) / (FRAME_BYTES + WIRE_EXTRA_BYTES));
  return ['handle', '1:', 'tbf', 'rate', `${rate}bit`, 'burst', `${BURST_BYTES}`, 'limit', `${LIMIT_BYTES}`];
}
