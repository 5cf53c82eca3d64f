// The lists of work that takes time and of replications, and the page of one job. Pure. Invariant: what something waits for, or why it
// fails, can be read on its page.

import type { JobView, Progress, ReplicationView } from '@rsio/api/views/views';
import { leftText, percentOf, progressOfJob, progressOfServer, progressText } from '@rsio/api/views/progress';
import { momentAge, volumeText } from '@rsio/api/views/server-tables';
import { printDuration, shownSize } from '@rsio/base/lib/units';
import { open } from '../../machine/machine.ts';
import { problemRow, textRow, type Tone } from '../../machine/rows.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { shareBar } from '../../widgets/table.ts';
import { limitJob } from '../forms/volume-forms.ts';
import { REPLICATIONS_HELP, WORKS_HELP } from '../model/help-text.ts';
import { idOf, type ServerPage, type ServerRow, type ServerState } from '../model/state.ts';
import { askJobEnd } from '../work/questions.ts';
import { WAITING_ROW } from './rows.ts';
import { listPage, objectPage } from './list-page.ts';

const BAR_COLUMNS = 10;

/** The works of a view, made once for each view, because the list compares its objects by identity. */
let last: {
  readonly jobs: readonly JobView[];
  readonly replications: readonly ReplicationView[];
  readonly works: readonly Progress[];
} | null = null;

export function worksOf({ view }: Pick<ServerState, 'view'>): readonly Progress[] | null {
  if (view === null) return null;
  const { jobs, replications } = view;
  if (last?.jobs !== jobs || last.replications !== replications) last = { jobs, replications, works: progressOfServer(jobs, replications) };
  return last.works;
}

export const WORKS_PAGE = listPage<Progress>({
  id: 'works',
  title: 'Work in progress',
  noun: 'work',
  items: worksOf,
  unknown: () => [WAITING_ROW],
  none: 'No work that takes time',
  columns: [
    { heading: '  WORK' },
    { heading: 'VOLUME', columnsMax: LIST_NAME_COLUMNS_MAX },
    { heading: 'DONE' },
    { heading: 'LEFT', alignment: 'right' },
    { heading: 'FROM AND TO, OR WHAT IT WAITS FOR' },
  ],
  cells: (work, sign) => [
    sign + work.kind,
    work.name,
    shareBar(shareOf(work), BAR_COLUMNS),
    work.leftMs === null ? '-' : leftText(work.leftMs),
    standingText(work),
  ],
  tone: ({ state }): Tone => (state === 'running' ? 'ok' : 'warning'),
  row: ({ id }) => ({ id, command: open(workPage(id)), remove: jobIn(id) === null ? null : askJobEnd(jobIn(id) ?? '') }),
  text: ({ kind, name, about }) => `${kind} ${name} ${about}`,
  add: null,
  hint: (count) => (count === 0 ? 'Esc goes back' : 'Enter opens, F8 cancels a job'),
  help: WORKS_HELP,
});

function standingText({ state, waitsFor, about }: Progress): string {
  if (state === 'ending') return 'is being cancelled';
  return waitsFor === null ? about : `waits for ${waitsFor}`;
}

function shareOf(work: Progress): number | null {
  const percent = percentOf(work);
  return percent === null ? null : percent / 100;
}

/** Returns the id of the job; null if the work is no job. */
function jobIn(id: string): string | null {
  return /^job (.+)$/.exec(id)?.[1] ?? null;
}

function workPage(id: string): ServerPage {
  const job = jobIn(id);
  return objectPage(idOf('work', id), (state) => {
    const work = worksOf(state)?.find((one) => one.id === id) ?? null;
    const ended = state.view?.jobs.find((one) => one.id === job) ?? null;
    const isOpen = job !== null && work !== null;
    return {
      title: work === null ? id : `${work.kind} of ${work.name}`,
      details: work === null ? [textRow(ended === null ? 'This work has ended' : endText(ended))] : workRows(work),
      changes: isOpen
        ? [
            { label: 'Limit its rate', command: limitJob(job) },
            { label: 'Cancel', command: askJobEnd(job) },
          ]
        : [],
      remove: askJobEnd(job ?? ''),
      hint: isOpen ? 'Enter executes the selected line, Esc goes back' : 'Esc goes back',
      help: { title: 'Work in progress', text: WORKS_HELP },
    };
  });
}

function endText(job: JobView): string {
  if (progressOfJob(job) !== null) return 'It goes on';
  return `It is ${job.state}${job.reason === null ? '' : `: ${job.reason}`}`;
}

function workRows(work: Progress): ServerRow[] {
  const { id, about, waitsFor } = work;
  return [
    textRow(`${id}, ${about}`),
    textRow(`done:   ${shareBar(shareOf(work))}`),
    textRow(`so far: ${progressText(work, true)}`),
    ...(waitsFor === null ? [] : [problemRow(`! waits for ${waitsFor}`)]),
  ];
}

export const REPLICATIONS_PAGE = listPage<ReplicationView>({
  id: 'replications',
  title: 'Replications',
  noun: 'replication',
  items: ({ view }) => view?.replications ?? null,
  unknown: () => [WAITING_ROW],
  none: 'No replication: rsadm volume replicate NAME --to PEER begins one',
  columns: [
    { heading: '  VOLUMES', columnsMax: LIST_NAME_COLUMNS_MAX },
    { heading: 'PEER', columnsMax: LIST_NAME_COLUMNS_MAX },
    { heading: 'STATE' },
    { heading: 'AGE', alignment: 'right' },
    { heading: 'EVERY', alignment: 'right' },
    { heading: 'WHY' },
  ],
  cells: (one, sign) => [
    sign + namesOf(one),
    `${one.direction === 'out' ? 'to' : 'from'} ${one.peer}`,
    one.state,
    momentAge(one.ageMs),
    everyText(one),
    one.text || '-',
  ],
  tone: replicationTone,
  row: ({ id }) => ({ id, command: open(replicationPage(id)), remove: null }),
  text: (one) => `${namesOf(one)} ${one.peer}`,
  add: null,
  hint: (count) => (count === 0 ? 'Esc goes back' : 'Enter opens'),
  help: REPLICATIONS_HELP,
});

function namesOf({ volumes }: ReplicationView): string {
  return volumes.map(volumeText).join(',') || '-';
}

function everyText({ everyMs }: ReplicationView): string {
  return everyMs === 0 ? '-' : printDuration(everyMs);
}

function replicationTone({ state }: ReplicationView): Tone {
  if (state === 'waiting' || state === 'copying') return 'ok';
  return state === 'promoted' || state === 'handing-over' || state === 'ended' ? 'warning' : 'problem';
}

function replicationPage(id: string): ServerPage {
  return objectPage(idOf('replication', id), ({ view }) => {
    const one = view?.replications.find((each) => each.id === id) ?? null;
    return {
      title: one === null ? 'Replication' : `Replication of ${namesOf(one)}`,
      details: one === null ? [textRow('This replication does not exist any more')] : replicationRows(one),
      changes: [],
      remove: (state) => ({ state, effects: [] }),
      hint: 'Esc goes back',
      help: { title: 'Replication', text: REPLICATIONS_HELP },
    };
  });
}

function replicationRows(one: ReplicationView): ServerRow[] {
  const { direction, peer, pool, state, text, ageMs, keep, limitBytes, doneBytes, totalBytes } = one;
  const name = namesOf(one).split(',').join(' ');
  const standing = `state:   ${state}${text === '' ? '' : `: ${text}`}`;
  const ways =
    direction === 'out' ? [`rsadm volume replicate ${name} --end`] : [`rsadm volume promote ${name}`, `rsadm volume reverse ${name}`];
  return [
    textRow(`${direction === 'out' ? 'to' : 'from'} server ${peer}${pool === null ? '' : `, pool ${pool}`}`),
    replicationTone(one) === 'problem' ? problemRow(`! ${standing}`) : textRow(standing),
    textRow(`moment:  ${momentAge(ageMs)} old, wanted every ${everyText(one)}, ${keep} are kept`),
    textRow(`backlog: ${shownSize(Math.max(0, totalBytes - doneBytes))} of ${shownSize(totalBytes)}`),
    textRow(`limit:   ${limitBytes === null ? '-' : `${shownSize(limitBytes)}/s`}`),
    ...ways.map((way) => textRow(`command: ${way}`)),
  ];
}
