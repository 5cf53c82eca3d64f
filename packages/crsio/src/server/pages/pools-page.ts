// The list of pools with their space, and the page of one pool. rssrv prepares and checks pools.
// Pure. Invariant: a bar only repeats the percentage beside it.

import type { PoolView } from '@rsio/common/control/server/views';
import { plural } from '@rsio/common/lib/units';
import { NO_POOL, shownSize } from '@rsio/common/manage/server-tables';
import { open } from '../../machine/machine.ts';
import { choiceRow, EMPTY_ROW, headingRow, problemRow, textRow, type Tone } from '../../machine/rows.ts';
import { rowColumns } from '../../widgets/border.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { shareBar, tableOf } from '../../widgets/table.ts';
import { ADD_POOL, changePool } from '../forms/file-forms.ts';
import { POOLS_HELP } from '../model/help-text.ts';
import {
  idOf,
  type ServerChoice,
  type ServerContent,
  serverPage,
  type ServerPage,
  type ServerRow,
  type ServerState,
} from '../model/state.ts';
import { poolCheck } from '../work/file-orders.ts';
import { ordering } from '../work/ordering.ts';
import { askPoolRemoval } from '../work/questions.ts';
import { factsOf, offlineRows } from './facts.ts';
import { ASK_AGAIN, changeRows, listRows, troubleRows } from './rows.ts';

const ADD: ServerChoice = { label: 'Add pool', command: ADD_POOL };
const BAR_COLUMNS = 14;
/** Shares of a pool that call for attention, as in manage/server-warnings.ts. */
const WARNING_SHARE = 0.8;
const PROBLEM_SHARE = 0.95;

export const POOLS_PAGE = serverPage('pools', pools);

function pools(state: ServerState): ServerContent {
  const facts = factsOf(state);
  const room = rowColumns(state.size);
  const { heading, lines } = poolTable(facts?.pools ?? [], room);
  const rows = (facts?.pools ?? []).map((pool, index): ServerRow => {
    const { name } = pool;
    return {
      id: name,
      lines: [lines[index] ?? ''],
      command: open(poolPage(name)),
      remove: askPoolRemoval(name),
      tone: poolTone(pool),
    };
  });
  return {
    title: 'Pools',
    rows: [
      ...troubleRows(state),
      ...(facts === null ? offlineRows(state, 'pools', room) : listRows(heading, rows, NO_POOL)),
      choiceRow(ADD),
    ],
    actions: [ADD, ASK_AGAIN],
    hint: rows.length === 0 ? 'Enter adds a pool' : 'Enter opens, F8 removes, F7 adds',
    help: { title: 'Pools', text: POOLS_HELP },
  };
}

function poolPage(name: string): ServerPage {
  return serverPage(idOf('pool', name), (state) => poolContent(state, name));
}

function poolContent(state: ServerState, name: string): ServerContent {
  const pool = factsOf(state)?.pools.find((each) => each.name === name) ?? null;
  const remove = askPoolRemoval(name);
  const changes: readonly ServerChoice[] =
    pool === null
      ? []
      : [
          { label: 'Check', command: ordering(poolCheck(name)) },
          { label: 'Limit and reserve', command: changePool(name) },
          { label: 'Remove', command: remove },
        ];
  return {
    title: `Pool ${name}`,
    rows: [
      ...troubleRows(state),
      ...(pool === null ? [textRow('No pool with this name')] : detailRows(pool)),
      EMPTY_ROW,
      ...changeRows(changes, remove),
    ],
    actions: [...changes, ASK_AGAIN],
    hint: 'Enter executes the selected line, Esc goes back',
    help: { title: 'Pool', text: POOLS_HELP },
  };
}

function detailRows(pool: PoolView): ServerRow[] {
  const { path, reason, totalBytes, freeBytes, usableBytes, reserve, promisedBytes, limitBytes, volumes, removed, findings } = pool;
  const limit = limitBytes === null ? 'no limit' : `limit ${shownSize(limitBytes)}`;
  return [
    textRow(`path:     ${path}`),
    ...(reason === null ? [textRow('state:    ready')] : [problemRow(`! unavailable: ${reason}`)]),
    {
      ...textRow(`used:     ${shareBar(usedShare(pool))} of ${shownSize(totalBytes)}`),
      tone: poolTone(pool) === 'ok' ? null : poolTone(pool),
    },
    textRow(`free:     ${shownSize(freeBytes)}, of which ${shownSize(usableBytes)} above the reserve of ${Math.round(reserve * 100)}%`),
    textRow(`promised: ${shownSize(promisedBytes)}, ${limit}`),
    textRow(`volumes:  ${plural(volumes, 'volume')}, ${plural(removed, 'removed volume')}`),
    ...(findings.length === 0
      ? []
      : [EMPTY_ROW, headingRow('Not explained by its volumes'), ...findings.map((finding) => problemRow(`! ${finding}`))]),
  ];
}

/** The used share of a pool's file system, from 0 to 1; null if it is unknown. */
function usedShare({ totalBytes, freeBytes }: PoolView): number | null {
  return totalBytes === null || freeBytes === null || totalBytes === 0 ? null : (totalBytes - freeBytes) / totalBytes;
}

export function poolTone(pool: PoolView): Tone {
  if (pool.state !== 'ready') return 'problem';
  const share = usedShare(pool) ?? 0;
  return share >= PROBLEM_SHARE ? 'problem' : share >= WARNING_SHARE || pool.findings.length > 0 ? 'warning' : 'ok';
}

export function poolTable(pools: readonly PoolView[], room: number): ReturnType<typeof tableOf> {
  return tableOf(
    [{ heading: '  POOL', columnsMax: LIST_NAME_COLUMNS_MAX }, { heading: 'USED' }, { heading: 'SPACE' }],
    pools.map(poolCells),
    room,
  );
}

function poolCells(pool: PoolView): readonly string[] {
  const { name, usableBytes, promisedBytes, limitBytes, volumes, reason } = pool;
  const limit = limitBytes === null ? '' : ` of ${shownSize(limitBytes)}`;
  const words =
    reason === null
      ? `${shownSize(usableBytes)} free, ${shownSize(promisedBytes)}${limit} promised, ${plural(volumes, 'volume')}`
      : `unavailable: ${reason}`;
  return [`${poolTone(pool) === 'ok' ? '+' : '!'} ${name}`, shareBar(usedShare(pool), BAR_COLUMNS), words];
}
