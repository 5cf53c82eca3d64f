// Builds the pages of the two kinds of search. The page of a search for namespaces lists the servers with their addresses, and then the
// findings, such as rejected answers. The page of a search for servers shows which pairs of interfaces have been tried. Once the search has
// ended, the page shows the outcome for every interface. Invariants: for every interface, the page shows the section or the reason why
// there is none. Names from peers contain no control characters, because the guards of the protocol (wire/guards.ts) reject such names.

import type { FoundServer } from '@rsio/protocol/explorer/exploration';
import type { Finding } from '@rsio/protocol/explorer/finding';
import { reportSentence } from '../model/report-text.ts';
import type { FoundScreen, SearchScreen, ServerOutcome } from '../model/state.ts';
import { FOUND_HELP, SEARCH_HELP } from './help-text.ts';
import { ADDRESS_COLUMNS, columnsOf, commandRow, EMPTY_ROW, headingRow, type Page, type Row, textRow } from './page.ts';

/** Minimum widths of the columns for namespace, id, server and address. */
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

/** Returns one row for each finding, with its remedy on a second line. */
export function findingRows(findings: readonly Finding[]): Row[] {
  if (findings.length === 0) return [];
  const rows = findings.map(({ object, count, sentence, remedy }) =>
    textRow(`! ${object === '' ? '' : `${object}: `}${sentence}${count > 1 ? ` (${count} times)` : ''}`, `    ${remedy}`),
  );
  return [EMPTY_ROW, headingRow('Also noticed'), ...rows];
}

export function searchPage(screen: SearchScreen): Page {
  const { namespace, doing, outcomes } = screen;
  const added = outcomes.filter(({ isNew }) => isNew).length;
  const again = { do: 'find-servers' } as const;
  return {
    title: doing === null ? `Servers of ${namespace}: ${added} new` : `Servers of ${namespace}: searching ...`,
    rows: doing === null ? endedRows(screen) : [textRow(`${doing} ...`), EMPTY_ROW, ...screen.reports.map(reportRow)],
    actions: doing === null ? [{ label: 'Search again', command: again }] : [],
    hint: doing !== null ? 'Esc goes back and adds nothing' : added === 0 ? 'Esc goes back' : 'F3 saves the new sections, Esc goes back',
    help: { title: 'Find New Namespace Servers', text: SEARCH_HELP },
  };
}

function endedRows({ outcomes, findings }: SearchScreen): Row[] {
  const back = commandRow({ do: 'back' }, 'Go on');
  const servers = [...new Set(outcomes.map(({ server }) => server))];
  const nothing = textRow('No server of this namespace answered; check namespaceid, and explore on the servers');
  const rows = servers.flatMap((server) => [
    headingRow(`Server ${server}`),
    ...outcomes.filter((each) => each.server === server).map(outcomeRow),
  ]);
  return [back, EMPTY_ROW, ...(servers.length === 0 ? [nothing] : rows), ...findingRows(findings)];
}

function outcomeRow({ address, section, isNew, sentences }: ServerOutcome): Row {
  const became = section === null ? 'left out' : isNew ? `added as ${section}` : `already there as ${section}`;
  return textRow(`${address.padEnd(ADDRESS_COLUMNS)} ${became}`, ...sentences.map((sentence) => `    ${sentence}`));
}

function reportRow(report: SearchScreen['reports'][number]): Row {
  return textRow(report.candidate.remote.address, `    ${reportSentence(report)}`);
}
