// The list of pools with their space, and the page of one pool. rssrv prepares and checks pools.
// Pure. Invariant: a bar only repeats the percentage beside it.

import { dayText, fullInMs, fullInText, isFullSoon } from '@rsio/api/views/capacity';
import type { PoolView, SharedPoolView } from '@rsio/api/views/views';
import { plural, shownSize } from '@rsio/base/lib/units';
import { farmStateText, heartbeatText, NO_POOL, standingText } from '@rsio/api/views/server-tables';
import { open } from '../../machine/machine.ts';
import { EMPTY_ROW, headingRow, problemRow, textRow, type Tone } from '../../machine/rows.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { shareBar } from '../../widgets/table.ts';
import { ADD_POOL, changePool } from '../forms/file-forms.ts';
import { POOLS_HELP } from '../model/help-text.ts';
import { idOf, type ServerChoice, type ServerPage, type ServerRow } from '../model/state.ts';
import { poolCheck } from '../work/file-orders.ts';
import { ordering } from '../work/ordering.ts';
import { askPoolRemoval } from '../work/questions.ts';
import { factsOf, offlineRows } from './facts.ts';
import { type List, listPage, objectPage } from './list-page.ts';

const BAR_COLUMNS = 14;
/**
 * A pool is shown as a warning if its used share is at least WARNING_SHARE, and as a problem if the share is at least PROBLEM_SHARE, as in
 * manage/server-warnings.ts.
 */
const WARNING_SHARE = 0.8;
const PROBLEM_SHARE = 0.95;

export const POOLS: List<PoolView> = {
  id: 'pools',
  title: 'Pools',
  noun: null,
  items: (state) => factsOf(state)?.pools ?? null,
  unknown: (state, room) => offlineRows(state, 'pools', room),
  none: NO_POOL,
  columns: [{ heading: '  POOL', columnsMax: LIST_NAME_COLUMNS_MAX }, { heading: 'USED' }, { heading: 'SPACE' }],
  cells: (pool, sign) => [sign + pool.name, shareBar(usedShare(pool), BAR_COLUMNS), spaceText(pool)],
  tone: poolTone,
  row: ({ name }) => ({ id: name, command: open(poolPage(name)), remove: askPoolRemoval(name) }),
  text: null,
  add: { label: 'Add pool', command: ADD_POOL },
  hint: (count) => (count === 0 ? 'Enter adds a pool' : 'Enter opens, F8 removes, F7 adds'),
  help: POOLS_HELP,
};

export const POOLS_PAGE = listPage(POOLS);

function poolPage(name: string): ServerPage {
  const remove = askPoolRemoval(name);
  const changes: readonly ServerChoice[] = [
    { label: 'Check', command: ordering(poolCheck(name)) },
    { label: 'Limit and reserve', command: changePool(name) },
    { label: 'Remove', command: remove },
  ];
  return objectPage(idOf('pool', name), (state) => {
    const facts = factsOf(state);
    const pool = facts?.pools.find((each) => each.name === name) ?? null;
    const shared = facts?.sharedPools.find((each) => each.name === name) ?? null;
    return {
      title: `Pool ${name}`,
      details: pool === null ? [textRow('No pool with this name')] : detailRows(pool, shared, state.wallMs),
      changes: pool === null ? [] : changes,
      remove,
      hint: 'Enter executes the selected line, Esc goes back',
      help: { title: 'Pool', text: POOLS_HELP },
    };
  });
}

function detailRows(pool: PoolView, shared: SharedPoolView | null, nowMs: number): ServerRow[] {
  const { path, totalBytes, freeBytes, usableBytes, reserve, promisedBytes, limitBytes, volumes, removed, findings } = pool;
  const limit = limitBytes === null ? 'no limit' : `limit ${shownSize(limitBytes)}`;
  const { week, month } = fullInMs(pool);
  return [
    textRow(`path:     ${path}`),
    stateRow(pool),
    ...(shared === null ? [] : sharedRows(shared)),
    {
      ...textRow(`used:     ${shareBar(usedShare(pool))} of ${shownSize(totalBytes)}`),
      tone: poolTone(pool) === 'ok' ? null : poolTone(pool),
    },
    textRow(`free:     ${shownSize(freeBytes)}, of which ${shownSize(usableBytes)} above the reserve of ${Math.round(reserve * 100)}%`),
    textRow(`promised: ${shownSize(promisedBytes)}, ${limit}, overcommit ${pool.overcommit ?? '-'}`),
    textRow(`full:     ${dayText(week, nowMs)} by the growth of 7 days, ${dayText(month, nowMs)} by that of 30 days`),
    textRow(`volumes:  ${plural(volumes, 'volume')}, ${plural(removed, 'removed volume')}`),
    ...(findings.length === 0
      ? []
      : [EMPTY_ROW, headingRow('Not explained by its volumes'), ...findings.map((finding) => problemRow(`! ${finding}`))]),
  ];
}

/** Returns rows that say who owns a pool on a shared disk. A pool that no server serves is shown as a problem, with the reason. */
function sharedRows(shared: SharedPoolView): ServerRow[] {
  const { disk, fence, state, owner, generation, next, takeOverMs, why } = shared;
  const after = takeOverMs === null ? 'moves by command only' : `next: ${next ?? '-'}`;
  return [
    textRow(`disk:     ${disk}, fence ${fence}`),
    textRow(`owner:    ${owner ?? '-'}, generation ${generation}, heard ${heartbeatText(shared)} ago; ${after}`),
    ...(state === 'serving' ? [] : [problemRow(`! ${farmStateText(shared)}: ${why}`)]),
  ];
}

/** Returns the used share of a pool's file system, from 0 to 1; null if the share is unknown. */
function usedShare({ totalBytes, freeBytes }: PoolView): number | null {
  return totalBytes === null || freeBytes === null || totalBytes === 0 ? null : (totalBytes - freeBytes) / totalBytes;
}

function stateRow(pool: PoolView): ServerRow {
  if (pool.state === 'ready') return textRow('state:    ready');
  return pool.state === 'elsewhere' ? textRow(`state:    ${standingText(pool)}`) : problemRow(`! ${standingText(pool)}`);
}

function poolTone(pool: PoolView): Tone {
  if (pool.state === 'elsewhere') return 'ok';
  if (pool.state !== 'ready') return 'problem';
  const share = usedShare(pool) ?? 0;
  return share >= PROBLEM_SHARE ? 'problem' : share >= WARNING_SHARE || isFullSoon(pool) || pool.findings.length > 0 ? 'warning' : 'ok';
}

function spaceText(pool: PoolView): string {
  if (pool.state !== 'ready') return standingText(pool);
  const { usableBytes, promisedBytes, limitBytes, volumes } = pool;
  const limit = limitBytes === null ? '' : ` of ${shownSize(limitBytes)}`;
  const full = fullInText(pool);
  const end = full === null ? '' : `, full ${full}`;
  return `${shownSize(usableBytes)} free${end}, ${shownSize(promisedBytes)}${limit} promised, ${plural(volumes, 'volume')}`;
}
