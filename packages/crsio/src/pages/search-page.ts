// The search for the servers of a namespace: pairs of interfaces while they are tried, then what became of every interface.
// Invariant: every interface of every server is listed, with its section or with the reason why it has none.

import { reportSentence } from '../model/report-text.ts';
import type { SearchScreen, ServerOutcome } from '../model/state.ts';
import { findingRows } from './found-page.ts';
import { SEARCH_HELP } from './help-text.ts';
import { ADDRESS_COLUMNS, commandRow, EMPTY_ROW, headingRow, type Page, type Row, textRow } from './page.ts';

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
