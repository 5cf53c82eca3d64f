// Formats the output of `-m stats`: counters since the daemon's start, rates between two samples, and latencies. A counter that is missing
// from the earlier sample counts as zero.

// Example of the output:
//   path: if0 IP(TCP) 192.168.45.10/5000 connected
//       requests: 1200 total, 100/s  resent: 0  hedged: 2  probed: 0  dropped: 1  deaths: 1  round trip: 0.212 ms
//       sent: 4096 bytes, 0.1 MB/s  received: 9830400 bytes, 0.8 MB/s  unanswered: 65536 bytes
//       read: p50 80 us, p99 210 us, p99.9 400 us, p99.99 700 us, max 900 us, rate 116.2 MB/s  write: p50 90 us, p99 310 us, p99.9 500 us, p99.99 800 us, max 950 us, rate -
//   vol: osl:oracle@0
//       read: 1000 total, 100/s  8192000 bytes, 0.8 MB/s  p50 80 us, p99 210 us, p99.9 400 us, p99.99 700 us, max 900 us
//       write: 200 total, 0/s  1638400 bytes, 0.0 MB/s  p50 90 us, p99 310 us, p99.9 500 us, p99.99 800 us, max 950 us
//       flush: 3 total, 0/s  p50 500 us, p99 610 us, p99.9 700 us, p99.99 800 us, max 990 us
//       discard: 0  zero: 0  errors: 0  outstanding: 4  longest gap: 12 ms

import type { LatencyView, PathStats, StatsView, VolumeStats } from '@rsio/api/rsiod/methods';
import { toText } from '@rsio/common/cli/table';
import { endPoint, roundTrip, stateName } from './format.ts';

const BYTES_PER_MB = 1e6;

/** Formats two samples of the statistics. The sample `before` was taken `elapsedMs` before the sample `now`. */
export function formatStats(before: StatsView, now: StatsView, elapsedMs: number): string {
  const seconds = elapsedMs / 1_000;
  const earlierPaths = countersByPath(before);
  const paths = now.paths.map((path) => pathLines(path, earlierPaths.get(pathKey(path.interface, path)), seconds));
  const earlierVolumes = new Map(before.volumes.map((volume) => [volume.volume, volume]));
  const volumes = now.volumes.map((volume) => volumeLines(volume, earlierVolumes.get(volume.volume), seconds));
  return toText([...paths, ...volumes].flat());
}

/** Returns a map. Key: the `pathKey` of a path. Value: the counters of the path. */
export function countersByPath({ paths }: StatsView): Map<string, PathStats> {
  return new Map(paths.map((path) => [pathKey(path.interface, path), path]));
}

/** The key includes the port, because two servers may share an address. */
export function pathKey(name: string, { address, port }: { readonly address: string; readonly port: number }): string {
  return `${name} ${address} ${port}`;
}

function pathLines(path: PathStats, before: PathStats | undefined, seconds: number): string[] {
  const requests = `requests: ${path.requests} total, ${rate(path.requests, before?.requests, seconds)}`;
  const sent = `sent: ${path.sentBytes} bytes, ${byteRate(path.sentBytes, before?.sentBytes, seconds)}`;
  const received = `received: ${path.receivedBytes} bytes, ${byteRate(path.receivedBytes, before?.receivedBytes, seconds)}`;
  const copies = `resent: ${path.resent}  hedged: ${path.hedged}  probed: ${path.probed}  dropped: ${path.dropped}`;
  const read = `read: ${latency(path.readLatency)}, rate ${measured(path.receivingBytesPerSecond)}`;
  const write = `write: ${latency(path.writeLatency)}, rate ${measured(path.sendingBytesPerSecond)}`;
  return [
    `path: ${path.interface} IP(TCP) ${endPoint(path.address, path.port)} ${stateName(path.state)}`,
    `    ${requests}  ${copies}  deaths: ${path.deaths}  round trip: ${roundTrip(path.roundTripMs)}`,
    `    ${sent}  ${received}  unanswered: ${path.unansweredBytes} bytes`,
    `    ${read}  ${write}`,
  ];
}

function volumeLines(volume: VolumeStats, before: VolumeStats | undefined, seconds: number): string[] {
  const reads = `${volume.reads} total, ${rate(volume.reads, before?.reads, seconds)}`;
  const readBytes = `${volume.readBytes} bytes, ${byteRate(volume.readBytes, before?.readBytes, seconds)}`;
  const writes = `${volume.writes} total, ${rate(volume.writes, before?.writes, seconds)}`;
  const writtenBytes = `${volume.writtenBytes} bytes, ${byteRate(volume.writtenBytes, before?.writtenBytes, seconds)}`;
  const flushes = `${volume.flushes} total, ${rate(volume.flushes, before?.flushes, seconds)}`;
  const others = `discard: ${volume.discards}  zero: ${volume.zeroes}  errors: ${volume.errors}`;
  return [
    `vol: ${volume.volume}`,
    `    read: ${reads}  ${readBytes}  ${latency(volume.readLatency)}`,
    `    write: ${writes}  ${writtenBytes}  ${latency(volume.writeLatency)}`,
    `    flush: ${flushes}  ${latency(volume.flushLatency)}`,
    `    ${others}  outstanding: ${volume.outstanding}  longest gap: ${Math.round(volume.longestGapMs)} ms`,
  ];
}

/** Returns the rate of a counter between two samples. */
export function perSecond(now: number, before: number | undefined, seconds: number): number {
  // If a counter has decreased, it has restarted from zero between the samples.
  const since = before === undefined || before > now ? now : now - before;
  return seconds > 0 ? since / seconds : 0;
}

function rate(now: number, before: number | undefined, seconds: number): string {
  return `${Math.round(perSecond(now, before, seconds))}/s`;
}

function byteRate(now: number, before: number | undefined, seconds: number): string {
  return `${(perSecond(now, before, seconds) / BYTES_PER_MB).toFixed(1)} MB/s`;
}

function measured(bytesPerSecond: number | null): string {
  return bytesPerSecond === null ? '-' : `${(bytesPerSecond / BYTES_PER_MB).toFixed(1)} MB/s`;
}

function latency({ p50Us, p99Us, p999Us, p9999Us, maxUs }: LatencyView): string {
  const parts = { p50: p50Us, p99: p99Us, 'p99.9': p999Us, 'p99.99': p9999Us, max: maxUs };
  return Object.entries(parts)
    .map(([name, us]) => `${name} ${Math.round(us)} us`)
    .join(', ');
}
