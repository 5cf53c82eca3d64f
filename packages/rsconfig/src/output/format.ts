// Formats the daemon's answers as text and tables. Invariants: a higher verbosity adds lines and leaves the others unchanged; no control
// character from a name reaches the terminal; no cell is truncated, and no line ends in white space.

import type { EventView } from '@rsio/common/control/method-table';
import {
  type AttachmentView,
  type AttachOutcome,
  type InterfaceView,
  type LogView,
  type NamespaceView,
  type PathView,
  type ProcessView,
  type RepView,
  type ServerView,
  type StatusView,
  type VolumeView,
  type WaitingView,
  waitingEnd,
  waitingText,
} from '@rsio/api/rsiod/methods';
import type { AttachedMirrorView } from '@rsio/api/views/mirror-views';
import { toText } from '@rsio/common/cli/table';
import { formatTime } from '@rsio/base/log/log-line';
import { plural, shownSize } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { Finding } from '@rsio/protocol/explorer/finding';

// Forms of the output. TIME has the format of the log, 2010_09_14-15:02:32 (GMT). An unknown value is printed as `-`.
//
// Output of -q. After the bar, v, vv or vvv is the lowest verbosity at which the line is printed:
//   000 osl
//     id: 200                                                               | vv
//     clt: big-6
//     srv: 000 big-5
//         state: connected                                                  | v
//         id: 1  instance: 0011223344556677                                 | vv
//         limits: 256 slots, 33554432 bytes                                 | vv
//         addr: 192.168.10.9/5000 big-5-1       one per [server] section    | v
//         path: 6 if0 192.168.10.1 -> 192.168.10.9/5000 connected tx: ok rx: ok | vvv
//         0  tvol1            disk      2097152 blocks of  512 bytes       followed by `  replica` if it belongs to a mirror
//             id: 7d444840-9dc0-11d1-b245-5ffdce74fad2                      | vv
//             mode: read-write exclusive        or read-only, shared        | vv
//             holder: venus 192.168.10.7 since TIME   one per holder, or -  | vv
//
// Output of -l. Empty lines separate volumes that have several lines:
//   osl:oracle@0                             followed by ` read-only` if it cannot be written
//       c: /dev/av0/roracle          31457280 blocks,  1 server(s)          | vv
//       b: /dev/av0/oracle                                                  | v
//       g: esx nsid 1                        one per gate that offers it    | vv (lun 1: a gate for iSCSI)
//
// Output of -m status:
//   0 if0 IP(TCP) 192.168.10.1/5000
//       rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok
//           path: 6  since: TIME  retries: 0  round trip: 0.212 ms  cipher: plain   | v   (or the cipher suite of TLS)
//           error: Connection refused, TIME                                 | v
//   osl:oracle@0 waits for a path to big-9                                  | v
//       since: TIME  until: TIME  requests: 4                               | v   (until: for ever; no until if the wait has one)
//
// Output of events, oldest first:
//   TIME 6-if0 192.168.10.9/5000: connected -> down: nothing heard for 3000 ms

const NAME_WIDTH = 17;
const COUNT_WIDTH = 13;
const BLOCK_SIZE_WIDTH = 4;
const RAW_PATH_WIDTH = 22;
const RAW_COUNT_WIDTH = 12;

/** Formats the output of -q; `verbosity` is the number of -v options. */
export function formatQuery(namespaces: readonly NamespaceView[], verbosity: number): string {
  return toText(namespaces.flatMap((namespace) => namespaceLines(namespace, verbosity)));
}

/** Formats the output of -l; `verbosity` is the number of -v options. */
export function formatLocal(attachments: readonly AttachmentView[], verbosity: number): string {
  const blocks = attachments.map((attachment) => attachmentLines(attachment, verbosity));
  return toText(verbosity === 0 ? blocks.flat() : blocks.flatMap((lines, index) => (index === 0 ? lines : ['', ...lines])));
}

/**
 * Returns the line that -a (`attached`) or -d (`detached`) prints for a volume after success. A volume with `device = none` has no
 * frontend.
 */
export function formatOutcome({ volume, device, already }: AttachOutcome, done: 'attached' | 'detached'): string {
  if (done === 'detached' && already) return toText([`${volume} is not attached`]);
  const none = done === 'attached' ? ' (no device)' : '';
  return toText([`${volume} ${done}${device === null ? none : ` ${device}`}`]);
}

/** Formats the output of -m status; `verbosity` is the number of -v options. */
export function formatStatus(status: StatusView, verbosity: number): string {
  const lines = status.interfaces.flatMap((view) => interfaceLines(view, verbosity));
  return toText(
    verbosity === 0
      ? lines
      : [
          ...lines,
          ...status.waiting.flatMap(waitingLines),
          ...status.logs.map(logLine),
          ...status.mirrors.flatMap(mirrorLines),
          ...(status.processes ?? []).map(processLine),
        ],
  );
}

function processLine({ number, pid, volumes, restarts }: ProcessView): string {
  const state = pid === null ? 'is being started again' : `runs (pid ${pid})`;
  return `data process ${number} ${state} with ${plural(volumes, 'volume')}; restarts: ${restarts}`;
}

/** Formats events, oldest first, as `TIME OBJECT: FROM -> TO: REASON`. */
function timesText({ repeated = 0 }: EventView): string {
  return repeated === 0 ? '' : ` (repeated: ${repeated})`;
}

export function formatEvents(events: readonly EventView[]): string {
  return toText(
    events.map((event) =>
      [`${formatTime(event.atMs)} ${event.object}`, `${stateName(event.from)} -> ${stateName(event.to)}${timesText(event)}`, event.reason]
        .filter((part) => part !== '')
        .join(': '),
    ),
  );
}

/** Returns the name under which a path's state is displayed. */
export function stateName(state: string): string {
  return state === 'up' ? 'connected' : state;
}

/** Returns a text such as `192.168.10.9/5000` or `[fd00::1]/5000`. */
export function endPoint(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}/${port}`;
}

export function roundTrip(ms: number | null): string {
  return ms === null ? '-' : `${ms.toFixed(3)} ms`;
}

function namespaceLines(namespace: NamespaceView, verbosity: number): string[] {
  return [
    `${threeDigits(namespace.position)} ${namespace.name}`,
    ...(verbosity < 2 ? [] : [`  id: ${namespace.namespaceid}`]),
    `  clt: ${namespace.nodename}`,
    ...namespace.servers.flatMap((server) => serverLines(server, verbosity)),
  ];
}

function serverLines(server: ServerView, verbosity: number): string[] {
  const lines = [`  srv: ${threeDigits(server.position)} ${server.name}`];
  if (verbosity >= 1) lines.push(`      state: ${server.state}`);
  if (verbosity >= 2)
    lines.push(`      id: ${server.serverid ?? '-'}  instance: ${server.instance ?? '-'}`, `      limits: ${limitsOf(server)}`);
  if (verbosity >= 1)
    lines.push(...server.addresses.map(({ section, address, port }) => `      addr: ${endPoint(address, port)} ${section}`));
  if (verbosity >= 3) lines.push(...server.paths.map(pathLine));
  return [...lines, ...server.volumes.flatMap((volume) => volumeLines(volume, verbosity))];
}

function limitsOf({ limits }: ServerView): string {
  return limits === null ? '-' : `${limits.slots} slots, ${limits.windowBytes} bytes`;
}

function pathLine(path: PathView): string {
  const ends = `${path.interface} ${path.localAddress} -> ${endPoint(path.address, path.port)}`;
  return `      path: ${path.number ?? '-'} ${ends} ${stateAndDirections(path)}`;
}

function stateAndDirections(path: PathView): string {
  return `${stateName(path.state)} tx: ${path.tx} rx: ${path.rx}`;
}

function volumeLines(volume: VolumeView, verbosity: number): string[] {
  const line = `      ${volume.universe}  ${padName(volume.name)}disk${padCount(volume.blocks, COUNT_WIDTH)} blocks of ${String(volume.blockSizeBytes).padStart(BLOCK_SIZE_WIDTH)} bytes${volume.mirror === null ? '' : '  replica'}`;
  if (verbosity < 2) return [line];
  const mode = `${volume.readonly ? 'read-only' : 'read-write'} ${volume.shared ? 'shared' : 'exclusive'}`;
  const holders = volume.holders.map((holder) => `          holder: ${holder.node} ${holder.address} since ${formatTime(holder.sinceMs)}`);
  return [line, `          id: ${volume.id}`, `          mode: ${mode}`, ...(holders.length === 0 ? ['          holder: -'] : holders)];
}

// A name that fills its column pushes the rest of the line to the right, so that a space always separates the columns.
function padName(name: string): string {
  return `${name} `.padEnd(NAME_WIDTH);
}

function padCount(count: number, width: number): string {
  return ` ${count}`.padStart(width);
}

function attachmentLines(attachment: AttachmentView, verbosity: number): string[] {
  const lines = [`${volumeLabel(attachment)}${attachment.readonly ? ' read-only' : ''}`];
  if (verbosity >= 2) lines.push(rawDeviceLine(attachment));
  if (verbosity >= 1) lines.push(`    b: ${attachment.blockDevice}`);
  if (verbosity >= 2)
    lines.push(
      ...(attachment.gates ?? []).map(({ gate, protocol, nsid }) => `    g: ${gate} ${protocol === 'nvme' ? 'nsid' : 'lun'} ${nsid}`),
    );
  return lines;
}

function rawDeviceLine(attachment: AttachmentView): string {
  const path = (attachment.rawDevice ?? '-').padEnd(RAW_PATH_WIDTH);
  return `    c: ${path}${padCount(attachment.blocks, RAW_COUNT_WIDTH)} blocks, ${String(attachment.servers).padStart(2)} server(s)`;
}

function interfaceLines(view: InterfaceView, verbosity: number): string[] {
  const first = `${view.position} ${view.name} IP(TCP) ${endPoint(view.address, view.port)}`;
  return [first, ...view.reps.flatMap((rep) => repLines(rep, verbosity))];
}

function repLines(rep: RepView, verbosity: number): string[] {
  const line = `    rep: ${threeDigits(rep.position)} IP(TCP) ${endPoint(rep.address, rep.port)} ${stateAndDirections(rep)}`;
  if (verbosity === 0) return [line];
  const when = rep.lastErrorMs === null ? '' : `, ${formatTime(rep.lastErrorMs)}`;
  return [
    line,
    `        path: ${rep.number ?? '-'}  since: ${formatTime(rep.sinceMs)}  retries: ${rep.retries}  round trip: ${roundTrip(rep.roundTripMs)}  cipher: ${cipherText(rep)}`,
    `        error: ${rep.lastError === null ? '-' : `${rep.lastError}${when}`}`,
  ];
}

/** Returns the cipher suite or `plain`, with a remark if the configuration demands the opposite; `-` without a connection. */
function cipherText({ number, state, cipher, tls }: RepView): string {
  const isAlive = number !== null && (state === 'up' || state === 'suspect');
  if (!isAlive) return '-';
  const differs = (cipher !== null) !== tls ? ` (tls = ${tls ? 'on' : 'off'} applies to its next connection)` : '';
  return `${cipher ?? 'plain'}${differs}`;
}

function waitingLines(view: WaitingView): string[] {
  const end = waitingEnd(view);
  const until = end === null ? '' : `  until: ${typeof end === 'number' ? formatTime(end) : end}`;
  return [`${view.volume} ${waitingText(view)}`, `    since: ${formatTime(view.sinceMs)}${until}  requests: ${view.requests}`];
}

/** Returns a line such as `osl:oracle@0 keeps 8192 bytes written that are not flushed yet, since: TIME; last flush: TIME`. */
function logLine({ volume, dataBytes, rangeBytes, sinceMs, flushedMs }: LogView): string {
  const ranges = rangeBytes > 0 ? ` and ${rangeBytes} bytes zeroed or discarded` : '';
  const kept = sinceMs === null ? 'has no unflushed data' : `keeps ${dataBytes} bytes written${ranges} that are not flushed yet`;
  const since = sinceMs === null ? '' : `, since: ${formatTime(sinceMs)}`;
  return `${volume} ${kept}${since}; last flush: ${flushedMs === null ? '-' : formatTime(flushedMs)}`;
}

/** Returns a line such as `osl:db@0 is on pi-1 (in sync) and pi-2 (copying: 64M left, 8M/s)`, and a second line if something is missing. */
function mirrorLines({ volume, replicas, waitsFor }: AttachedMirrorView): string[] {
  const shown = replicas.map(({ server, state, leftBytes, bytesPerSecond }) => {
    const rate = bytesPerSecond === null || state !== 'copying' ? '' : `, ${shownSize(bytesPerSecond)}/s`;
    return `${server} (${state}${leftBytes === null || leftBytes === 0 ? '' : `: ${shownSize(leftBytes)} left${rate}`})`;
  });
  const line = `${volume} is on ${shown.join(' and ')}`;
  return waitsFor === null ? [line] : [line, `    ${waitsFor}`];
}

function threeDigits(position: number): string {
  return String(position).padStart(3, '0');
}

/** A finding of an exploration, with its remedy. */
export function findingLine({ sentence, remedy, count }: Finding): string {
  return `${sentence}${count > 1 ? ` (${count} times)` : ''}: ${remedy}`;
}
