// The result pages of both searches. The page of a search for namespaces lists the servers with their addresses, and then the findings,
// such as rejected answers. The page of a search for servers shows which pairs of interfaces have been tried and, once the search has
// ended, the outcome for every interface. Invariants: for every interface, the page shows the new section or the reason why crsio made no
// section. Names from peers contain no control characters, because the guards of the protocol (wire/guards.ts) reject such names.

import type { FoundServer } from '@rsio/protocol/explorer/exploration';
import type { Finding } from '@rsio/protocol/explorer/finding';
import { address, keyText, port } from '@rsio/common/config/schema/value-types';
import { entryOf, type FieldSpec, type Form, formOf, formText } from '../../machine/form.ts';
import { back, pageOf, popped } from '../../machine/machine.ts';
import { ADDRESS_COLUMNS, columnsOf, commandRow, EMPTY_ROW, headingRow, textRow } from '../../machine/rows.ts';
import { FOUND_HELP, SEARCH_HELP } from '../model/help-text.ts';
import type { ExploreRequest } from '../model/ports.ts';
import { reportSentence } from '../model/report-text.ts';
import type { ClientCommand, ClientContent, ClientRow, ClientState, ClientStep, Found, Search, ServerOutcome } from '../model/state.ts';
import { openClientForm } from '../work/client-form.ts';
import { findNamespace, findServers, FOUND } from '../work/searching.ts';

/** Minimum widths of the columns namespace, id, server and address. */
const COLUMNS = [12, 5, 14, ADDRESS_COLUMNS];

/** Returns the command that Enter executes on a server that was found. */
type Take = (server: FoundServer, request: ExploreRequest) => ClientCommand;

export function exploreNamespaces(request: ExploreRequest, take: Take): ClientCommand {
  return findNamespace(
    request,
    pageOf(FOUND, ({ found }) => foundContent(found, take)),
  );
}

function foundContent({ request, servers, findings, isRunning }: Found, take: Take): ClientContent {
  const [heading = '', ...lines] = columnsOf(
    [['namespace', 'id', 'server', 'address', 'round trip'], ...servers.flatMap(serverCells)],
    COLUMNS,
  );
  let next = 0;
  const rows = servers.map((server): ClientRow => {
    const count = serverCells(server).length;
    next += count;
    return { lines: lines.slice(next - count, next), command: take(server, request), remove: null };
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
      { label: 'Explore again', command: exploreNamespaces(request, take) },
      { label: 'Explore an address, or use a namespacekey', command: askWhere(take) },
    ],
    hint: servers.length === 0 ? 'Esc goes back' : 'Enter opens a login form for the namespace',
    help: { title: 'Find NEW Namespace', text: FOUND_HELP },
  };
}

const EXPLORE_FIELDS: readonly FieldSpec[] = [
  {
    key: 'address',
    entry: entryOf(address, 'Address of a server behind a router; without an address, only the local subnets are explored'),
  },
  { key: 'port', entry: entryOf(port, 'Port of the namespace. Inherited from [defaults]') },
  { key: 'namespacekey', entry: entryOf(keyText, 'Key of the namespace; only answers that it signs are accepted') },
];

/** Opens the form that explores one address, which can be outside the subnets of this machine. */
function askWhere(take: Take): ClientCommand {
  const explore = (state: ClientState, form: Form): ClientStep => {
    const number = formText(form, 'port');
    const request: ExploreRequest = {
      address: formText(form, 'address') || null,
      port: number === '' ? null : Number(number),
      namespacekey: formText(form, 'namespacekey') || null,
    };
    return exploreNamespaces(request, take)(popped(state));
  };
  const form = formOf('Find NEW Namespace', EXPLORE_FIELDS);
  return (state) => openClientForm(state, { form, take: explore, applyLabel: 'Explore now', isKept: false });
}

function askedWhere(request: ExploreRequest): string {
  const where = request.address === null ? 'the subnets of the interfaces' : `${request.address} and the subnets of the interfaces`;
  return `${where}${request.port === null ? '' : `, port ${request.port}`}${request.namespacekey === null ? '' : ', signed with a namespacekey'}`;
}

function serverCells({ namespace, namespaceid, server, serverid, isSigned, interfaces, heard }: FoundServer): string[][] {
  return interfaces.map((each, index) => {
    const own = heard.filter(({ from }) => from === each.address).map(({ roundTripMs }) => roundTripMs);
    const roundTrip = own.length === 0 ? '-' : `${Math.min(...own).toFixed(2)} ms`;
    const names = index === 0 ? [namespace, String(namespaceid), `${server} (${serverid})${isSigned ? ' signed' : ''}`] : ['', '', ''];
    return [...names, each.address, roundTrip];
  });
}

/** Returns one row for each finding, with its remedy on a second line. */
function findingRows(findings: readonly Finding[]): ClientRow[] {
  if (findings.length === 0) return [];
  const rows = findings.map(({ object, count, sentence, remedy }) =>
    textRow(`! ${object === '' ? '' : `${object}: `}${sentence}${count > 1 ? ` (${count} times)` : ''}`, `    ${remedy}`),
  );
  return [EMPTY_ROW, headingRow('Also noticed'), ...rows];
}

export function searchServers(namespace: string): ClientCommand {
  return findServers(
    namespace,
    pageOf('search', ({ search }) => searchContent(search)),
  );
}

function searchContent(search: Search): ClientContent {
  const { namespace, doing, outcomes } = search;
  const added = outcomes.filter(({ isNew }) => isNew).length;
  return {
    title: doing === null ? `Servers of ${namespace}: ${added} new` : `Servers of ${namespace}: searching ...`,
    rows: doing === null ? endedRows(search) : [textRow(`${doing} ...`), EMPTY_ROW, ...search.reports.map(reportRow)],
    actions: doing === null ? [{ label: 'Search again', command: searchServers(namespace) }] : [],
    hint: doing !== null ? 'Esc goes back and adds nothing' : added === 0 ? 'Esc goes back' : 'F3 saves the new sections, Esc goes back',
    help: { title: 'Find New Namespace Servers', text: SEARCH_HELP },
  };
}

function endedRows({ outcomes, findings }: Search): ClientRow[] {
  const servers = [...new Set(outcomes.map(({ server }) => server))];
  const nothing = textRow('No server of this namespace answered; check namespaceid, and explore on the servers');
  const rows = servers.flatMap((server) => [
    headingRow(`Server ${server}`),
    ...outcomes.filter((each) => each.server === server).map(outcomeRow),
  ]);
  return [commandRow<ClientCommand>(back, 'Go on'), EMPTY_ROW, ...(servers.length === 0 ? [nothing] : rows), ...findingRows(findings)];
}

function outcomeRow({ address: at, section, isNew, sentences }: ServerOutcome): ClientRow {
  const became = section === null ? 'left out' : isNew ? `added as ${section}` : `already there as ${section}`;
  return textRow(`${at.padEnd(ADDRESS_COLUMNS)} ${became}`, ...sentences.map((sentence) => `    ${sentence}`));
}

function reportRow(report: Search['reports'][number]): ClientRow {
  return textRow(report.candidate.remote.address, `    ${reportSentence(report)}`);
}
