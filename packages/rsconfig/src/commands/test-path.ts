// Implements `-m test`: makes rsiod measure its paths one after the other, each over a separate connection. The command prints one line for
// each path, followed by the error, if any, and by remarks. Invariants: the exit code is 1 if a requested path cannot be used; no control
// character from a name or a peer's message reaches the terminal; a value that could not be measured is printed as `-`.

import { toAddress } from '@rsio/base/lib/address';
import { CONTROL_METHODS, type LeftOutView, type ProbeView } from '@rsio/api/rsiod/methods';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { type CommandContext, defineCommand, usageError } from '../cli/context.ts';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { endPoint } from '../output/format.ts';

export const TEST = defineCommand({
  call: { by: 'monitor', word: 'test' },
  synopsis: '-m test [PATH]',
  summary: 'measures paths',
  details: `For each path, measures reachability, round trip, data rate in each direction
and packet size (MTU), and shows the network device that the data actually uses.
Other I/O continues during the measurement, and competes with it for bandwidth.
PATH is the name or address of a local interface (if0), the address of a server
interface (192.168.45.10), or both (if0:192.168.45.10). Without PATH, the
command measures all paths.`,
  options: { json: JSON_OPTION },
  json: CONTROL_METHODS.probe.result,
  operands: { min: 0, max: 1 },
  completes: '"${ask[@]}" interface list | tail -n +2 | cut -d " " -f 1',
  run: (context, { json }, [path]) => testPaths(context, path ?? null, json),
});

/** The PATH operand, split into the two names that the daemon's method `probe` takes. */
export interface PathName {
  /** Name or address of an interface of this machine; null for any interface. */
  readonly interface: string | null;
  /** Address of a server interface or name of a [server] section; null for any server interface. */
  readonly remote: string | null;
}

/** Returns the exit code. */
async function testPaths(context: CommandContext, path: string | null, json: boolean): Promise<number> {
  const name = path === null ? { interface: null, remote: null } : await resolvePath(context, path);
  context.note('Measuring each path for about a second: waiting for rsiod');
  const result = await context.call('probe', name);
  if (json) printJson(context, result);
  else context.out(formatProbes(result.paths, result.leftOut));
  if (result.paths.length === 0) context.note(`No path to measure: see rsconfig -m status and ${context.configFile}`);
  return result.paths.length > 0 && result.paths.every(({ error }) => error === null) ? 0 : 1;
}

/**
 * Resolves the PATH operand. A single address names an interface of this machine if the daemon lists the address as local. Any other single
 * address names a server interface.
 */
async function resolvePath({ call }: CommandContext, text: string): Promise<PathName> {
  const name = parsePath(text);
  if (name.interface !== null || name.remote === null) return name;
  const { interfaces } = await call('status', {});
  const isOurs = interfaces.some(({ address }) => address === name.remote);
  return isOurs ? { interface: name.remote, remote: null } : name;
}

/**
 * Parses a PATH operand such as `if0`, `192.168.45.10`, `192.168.45.10/5000` (as -m status shows it) or `if0:192.168.45.10`. Throws
 * E_USAGE.
 */
export function parsePath(text: string): PathName {
  const whole = addressOf(text);
  if (whole !== null) return { interface: null, remote: whole };
  const colon = text.indexOf(':');
  if (colon < 0 && text !== '') return { interface: text, remote: null };
  const [near, far] = [text.slice(0, colon), text.slice(colon + 1)];
  if (near === '' || far === '') throw usageError(`Wrong PATH ${text}: give if0, 192.168.45.10 or if0:192.168.45.10`);
  return { interface: near, remote: addressOf(far) ?? far };
}

function addressOf(text: string): string | null {
  const bare = /^\[?([^[\]/]*)\]?(?:\/\d+)?$/.exec(text)?.[1] ?? '';
  return toAddress(bare);
}

// Example of the output:
//   path                           server    reach   trip ms  tx MB/s  rx MB/s   MTU  leaves by
//   if0 -> 192.168.45.10/5000      big-9    0.2 ms     0.212    112.3    113.0  1500  eth0
//   if1 -> 192.168.46.10/5000      -             -         -        -        -     -  -
//       Connection refused: is rssrv running there?

const BYTES_PER_MB = 1e6;
const INDENT = '    ';

export function formatProbes(paths: readonly ProbeView[], leftOut: readonly LeftOutView[]): string {
  const heading = ['path', 'server', '>reach', '>trip ms', '>tx MB/s', '>rx MB/s', '>MTU', 'leaves by'];
  const [first = '', ...lines] = alignColumns(heading, paths.map(cellsOf));
  const blocks = paths.flatMap((path, index) => [lines[index] ?? '', ...detailsOf(path)]);
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

function detailsOf({ error, remarks }: ProbeView): string[] {
  return [...(error === null ? [] : [`${INDENT}${error.message} [${error.code}]`]), ...remarks.map((remark) => INDENT + remark)];
}

function rate(bytesPerSecond: number | null): string {
  return bytesPerSecond === null ? '-' : (bytesPerSecond / BYTES_PER_MB).toFixed(1);
}
