// What an exploration for namespaces finds, while it finds it: one entry for each server, below it its addresses; then what was not believed.
// Names come from peers: the wire let no control character in, and the canvas lets none out.

import type { FoundServer } from '@rsio/protocol/explorer/discovery/exploration';
import type { Finding } from '@rsio/protocol/explorer/discovery/finding';
import type { FoundScreen } from '../model/state.ts';
import { FOUND_HELP } from './help-text.ts';
import { ADDRESS_COLUMNS, columnsOf, EMPTY_ROW, headingRow, type Page, type Row, textRow } from './page.ts';

/** Of namespace, id, server, address. */
const COLUMNS = [12, 5, 14, ADDRESS_COLUMNS];

export function foundPage(screen: FoundScreen): Page {
  const { request, servers, findings, isRunning } = screen;
  const [heading = '', ...lines] = columnsOf(
    [['namespace', 'id', 'server', 'address', 'round trip'], ...servers.flatMap(serverCells)],
    COLUMNS,
  );
  let next = 0;
  const rows = servers.map((server, index): Row => {
    const count = serverCells(server).length;
    next += count;
    return { lines: lines.slice(next - count, next), command: { do: 'take-found', index }, remove: null };
  });
  const nothing = isRunning ? 'No server has answered yet' : 'No server answered; use F7 to explore an address, or with a namespacekey';
  return {
    title: isRunning ? `Find NEW Namespace: exploring ..., ${servers.length} so far` : `Find NEW Namespace: ${servers.length} found`,
    rows: [
      textRow(`Asked: ${askedWhere(request)}`),
      EMPTY_ROW,
      ...(rows.length === 0 ? [textRow(nothing)] : [headingRow(heading), ...rows]),
      ...findingRows(findings),
    ],
    actions: [
      { label: 'Explore again', command: { do: 'find-namespace', request } },
      { label: 'Explore an address, or use a namespacekey', command: { do: 'edit', purpose: { kind: 'explore' } } },
    ],
    hint: servers.length === 0 ? 'Esc goes back' : 'Enter opens a login form for the namespace',
    help: { title: 'Find NEW Namespace', text: FOUND_HELP },
  };
}

function askedWhere({ address, port, namespacekey }: FoundScreen['request']): string {
  const where = address === null ? 'the subnets of the interfaces' : `${address} and the subnets of the interfaces`;
  return `${where}${port === null ? '' : `, port ${port}`}${namespacekey === null ? '' : ', signed with a namespacekey'}`;
}

function serverCells({ namespace, namespaceid, server, serverid, isSigned, interfaces, heard }: FoundServer): string[][] {
  return interfaces.map(({ address }, index) => {
    const own = heard.filter(({ from }) => from === address).map(({ roundTripMs }) => roundTripMs);
    const roundTrip = own.length === 0 ? '-' : `${Math.min(...own).toFixed(2)} ms`;
    const names = index === 0 ? [namespace, String(namespaceid), `${server} (${serverid})${isSigned ? ' signed' : ''}`] : ['', '', ''];
    return [...names, address, roundTrip];
  });
}

/** What was noticed besides, with what to do about it. */
export function findingRows(findings: readonly Finding[]): Row[] {
  if (findings.length === 0) return [];
  const rows = findings.map(({ object, count, sentence, remedy }) =>
    textRow(`! ${object === '' ? '' : `${object}: `}${sentence}${count > 1 ? ` (${count} times)` : ''}`, `    ${remedy}`),
  );
  return [EMPTY_ROW, headingRow('Also noticed'), ...rows];
}
