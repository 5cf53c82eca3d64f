// What `-m test` prints: a line for each path that was measured, and below it why it cannot be used or what to mend. Pure.
// Invariant: no control character of a name or a peer's sentence reaches the terminal; what could not be measured prints as `-`.

//   path                           server    reach   trip ms  tx MB/s  rx MB/s   MTU  leaves by
//   if0 -> 192.168.45.10/5000      big-9    0.2 ms     0.212    112.3    113.0  1500  eth0
//   if1 -> 192.168.46.10/5000      -             -         -        -        -     -  -
//       Connection refused: is rssrv running there?

import type { LeftOutView, ProbeView } from '@rsio/common/control/methods';
import { endPoint, toText } from '../../output/format.ts';
import { alignColumns } from '../../output/columns.ts';

const BYTES_PER_MB = 1e6;
const INDENT = '    ';

export function formatProbes(paths: readonly ProbeView[], leftOut: readonly LeftOutView[]): string {
  const heading = ['path', 'server', '>reach', '>trip ms', '>tx MB/s', '>rx MB/s', '>MTU', 'leaves by'];
  const [first = '', ...lines] = alignColumns(heading, paths.map(cellsOf));
  const blocks = paths.flatMap((path, index) => [lines[index] ?? '', ...remarksOf(path)]);
  const omitted = leftOut.map((one) => `${one.interface ?? '-'} -> ${one.address} (${one.section}) is left out: ${one.reason}`);
  return toText([...(paths.length === 0 ? [] : [first]), ...blocks, ...omitted]);
}

function cellsOf(path: ProbeView): string[] {
  return [
    `${path.interface} -> ${endPoint(path.address, path.port)}`,
    path.server ?? '-',
    path.reachMs === null ? '-' : `${path.reachMs.toFixed(1)} ms`,
    path.roundTripMs === null ? '-' : path.roundTripMs.toFixed(3),
    rate(path.sendBytesPerSecond),
    rate(path.receiveBytesPerSecond),
    path.mtuBytes === null ? '-' : String(path.mtuBytes),
    leavesBy(path),
  ];
}

function leavesBy({ device, leavesBy: really }: ProbeView): string {
  if (really === null) return '-';
  return device === null || device === really ? really : `${really}, not ${device}`;
}

function remarksOf({ error, remarks }: ProbeView): string[] {
  return [...(error === null ? [] : [`${INDENT}${error.message} [${error.code}]`]), ...remarks.map((remark) => INDENT + remark)];
}

function rate(bytesPerSecond: number | null): string {
  return bytesPerSecond === null ? '-' : (bytesPerSecond / BYTES_PER_MB).toFixed(1);
}
