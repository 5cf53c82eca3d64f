// Limits a card to the rate of an Ethernet link: the parameters of tc's token bucket with which a link carries what a wire would. netlab.ts
// runs tc. Pure.

/** Preamble, check sum and gap of a frame, which a wire carries and tc does not count. */
const WIRE_EXTRA_BYTES = 24;
/** Of a frame with 1500 bytes, as tc counts it. */
const FRAME_BYTES = 1514;
/** One segment that the kernel hands down whole must fit, or every one is cut into frames at great cost. */
const BURST_BYTES = 128 * 1024;
/** Never the place where a queue builds up: TCP keeps two segments of a connection below it, and a connection has a card to itself. */
const LIMIT_BYTES = 2 * 1024 * 1024;

/** The most that TCP moves over such a link, bytes a second: 1448 of 1538 on the wire. */
export function goodputBytes(bitsPerSecond: number): number {
  return (bitsPerSecond / 8) * (1448 / (FRAME_BYTES + WIRE_EXTRA_BYTES));
}

/** Arguments of `tc qdisc replace dev DEVICE root`. The handle changes an existing qdisc in place, so that queued frames stay. */
export function shaper(bitsPerSecond: number): string[] {
  const rate = Math.round((bitsPerSecond * FRAME_BYTES) / (FRAME_BYTES + WIRE_EXTRA_BYTES));
  return ['handle', '1:', 'tbf', 'rate', `${rate}bit`, 'burst', `${BURST_BYTES}`, 'limit', `${LIMIT_BYTES}`];
}
