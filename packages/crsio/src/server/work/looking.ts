// Asks rssrv for its state at intervals; each of these queries is called a look. At each tick, crsio checks whether a look is due. crsio
// looks at intervals and follows no events, because it would have to look after each lost connection anyway. Invariants: only one look is
// in progress; a look ends as soon as one of its requests times out; the interval grows with the time that a look takes, so that crsio
// never keeps rssrv busy; when a list changes, the same row keeps the focus.

import type { VolumeName } from '@rsio/api/views/values';
import type { ServerMethodName, ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { type Effect, type Failure, failureOf, type Step, step, topOf, withTop } from '../../machine/machine.ts';
import { contentOf } from '../../machine/update.ts';
import { LOOK_INTERVAL_MS, LOOK_SHARE, LOOK_WAIT_MS, TICK_MS } from '../../widgets/limits.ts';
import type { ServerPorts } from '../model/ports.ts';
import { type FileView, type ServerRow, type ServerState, type ServerView, snapshotsShown } from '../model/state.ts';

/** The result of one look. */
interface Look {
  readonly file: FileView;
  /** Interfaces of this machine. */
  readonly machine: readonly MachineInterface[];
  readonly server: ServerView | Failure;
  readonly startedMs: number;
  readonly endedMs: number;
}

/** Notes the time, and looks at the server if a look is due. Repeats itself. */
export function tick(before: ServerState): Step<ServerState> {
  const { clock } = before.ports;
  const state: ServerState = { ...before, nowMs: clock.monotonicMs(), wallMs: clock.wallMs() };
  const later: Effect<ServerState> = (tell) => void clock.after(TICK_MS, () => tell(tick));
  const { state: next, effects } = state.nowMs < state.nextLookMs ? step<ServerState>(state) : lookNow(state);
  return step(next, ...effects, later);
}

/** Looks at the server at once. If a look is in progress, another look follows, because the first one may miss the latest change. */
export function lookNow(state: ServerState): Step<ServerState> {
  if (state.askingSinceMs !== null) return step({ ...state, isStale: true });
  const next = { ...state, askingSinceMs: state.nowMs, isStale: false, nextLookMs: Number.POSITIVE_INFINITY };
  return step(next, (tell) => void look(state.ports, snapshotsShown(state)).then((found) => tell((now) => looked(now, found))));
}

function looked(before: ServerState, { file, machine, server, startedMs, endedMs }: Look): Step<ServerState> {
  const nowMs = Math.max(before.nowMs, endedMs);
  const nextLookMs = nowMs + Math.max(LOOK_INTERVAL_MS, (endedMs - startedMs) * LOOK_SHARE);
  const state: ServerState = { ...before, nowMs, file, machine, askingSinceMs: null, nextLookMs };
  // If rssrv is not running, the last answers are dropped. If rssrv hangs, the last answers are kept.
  const known: ServerState =
    'code' in server
      ? { ...state, view: server.code === 'E_NOT_RUNNING' ? null : state.view, failure: server }
      : { ...state, view: server, viewMs: endedMs, failure: null };
  const next = refocused(before, known);
  return before.isStale ? lookNow(next) : step(next);
}

/** Moves the focus to the row that had the focus before the list changed. */
function refocused(before: ServerState, state: ServerState): ServerState {
  const top = topOf(state);
  if (top.kind === 'form') return state;
  if (top.focusUntilUsed && !state.isUsed) return withTop(state, { ...top, focus: top.focusUntilUsed(state) });
  const wanted = idsOf(before)[top.focus];
  const ids = idsOf(state);
  if (wanted === undefined || ids[top.focus] === wanted) return state;
  const focus = ids.indexOf(wanted);
  return focus < 0 ? state : withTop(state, { ...top, focus });
}

/** Returns the ids of the rows that can be chosen. */
function idsOf(state: ServerState): readonly (string | undefined)[] {
  return contentOf(state)
    .rows.filter(({ command }) => command !== null)
    .map(({ id, lines }: ServerRow) => id ?? lines[0]);
}

/**
 * Reads the file, and asks rssrv for everything that the pages show. Never throws. Errors in the file do not prevent the requests to rssrv.
 */
async function look(ports: ServerPorts, shown: VolumeName | null): Promise<Look> {
  const startedMs = ports.clock.monotonicMs();
  const file = readFile(ports);
  const server = await ask(ports, shown).catch(failureOf);
  return { file, machine: ports.machine(), server, startedMs, endedMs: ports.clock.monotonicMs() };
}

/** What fails about one volume is shown on its page, and does not keep the other pages from their answers. */
async function snapshotsOf(
  of: VolumeName,
  call: (method: 'volume-show', params: VolumeName) => Promise<ServerMethods['volume-show']['result']>,
): Promise<ServerView['snapshots']> {
  try {
    return { of, list: (await call('volume-show', { ...of })).snapshots, failure: null };
  } catch (thrown) {
    return { of, list: [], failure: failureOf(thrown) };
  }
}

function readFile(ports: ServerPorts): FileView {
  try {
    return { config: ports.readConfig() };
  } catch (thrown) {
    return { failure: failureOf(thrown) };
  }
}

/**
 * Sends the requests one after the other, so that a slow server has to answer only one request at a time. `shown`: the volume whose
 * snapshots a page shows; null if no page does.
 */
async function ask(ports: ServerPorts, shown: VolumeName | null): Promise<ServerView> {
  const call = <M extends ServerMethodName>(method: M, params: ServerMethods[M]['params']): Promise<ServerMethods[M]['result']> =>
    ports.call(method, params, LOOK_WAIT_MS);
  const daemon = await call('daemon', {});
  const { pools } = await call('pool-list', {});
  // An rssrv that was not restarted after an update may be older and lack this method.
  const sharedPools = daemon.methods.includes('farm-show') ? (await call('farm-show', {})).pools : [];
  const { volumes, removed } = await call('volume-list', { pool: null });
  const { clients } = await call('client-list', {});
  const { interfaces } = await call('interface-list', {});
  const { jobs } = await call('job-list', { id: null });
  const { replications } = await call('replication-list', {});
  const snapshots = shown === null ? null : await snapshotsOf(shown, call);
  return { daemon, pools, sharedPools, volumes, removed, clients, interfaces, jobs, replications, snapshots };
}
