// What crsio does with time and with the answers of rssrv: looks at the server again and again, and reports the end of each change.
// Invariants: only one look is in progress; the interval grows with the time that a look takes, so that crsio never keeps rssrv busy; the
// row with the focus keeps it when a list changes.

import type { Failure } from '../../model/state.ts';
import { notice } from '../../model/state.ts';
import { LOOK_INTERVAL_MS, LOOK_SHARE } from '../../widgets/limits.ts';
import {
  closeScreen,
  isSame,
  type Look,
  openPopup,
  openScreen,
  type Pending,
  type ServerState,
  topOf,
  withScreen,
} from '../model/state.ts';
import { doingOf } from '../model/order-text.ts';
import { type Outcome, type ServerStep, serverStep } from '../model/step.ts';
import { menuFocus } from '../pages/menu-page.ts';
import { serverPageOf } from '../pages/pages.ts';

export function ticked(before: ServerState, nowMs: number, wallMs: number): ServerStep {
  const state: ServerState = { ...before, nowMs, wallMs };
  const { state: next, effects } = nowMs < state.nextLookMs ? serverStep(state) : lookNow(state);
  return serverStep(next, ...effects, { kind: 'tick-later' });
}

/** Looks at the server at once. If a look is in progress, which may miss the latest change, another one follows it. */
export function lookNow(state: ServerState): ServerStep {
  if (state.askingSinceMs !== null) return serverStep({ ...state, isStale: true });
  return serverStep({ ...state, askingSinceMs: state.nowMs, isStale: false, nextLookMs: Number.POSITIVE_INFINITY }, { kind: 'look' });
}

export function looked(before: ServerState, { file, machine, server, startedMs, endedMs }: Look): ServerStep {
  const nowMs = Math.max(before.nowMs, endedMs);
  const nextLookMs = nowMs + Math.max(LOOK_INTERVAL_MS, (endedMs - startedMs) * LOOK_SHARE);
  const state: ServerState = { ...before, nowMs, file, machine, askingSinceMs: null, nextLookMs };
  // A server that does not run has no state; of a server that hangs, the last state remains.
  const known: ServerState =
    'code' in server
      ? { ...state, view: server.code === 'E_NOT_RUNNING' ? null : state.view, failure: server }
      : { ...state, view: server, viewMs: endedMs, failure: null };
  const next = refocused(before, known);
  return before.isStale ? lookNow(next) : serverStep(next);
}

/** Keeps the focus on its row. */
function refocused(before: ServerState, state: ServerState): ServerState {
  const screen = topOf(state);
  if (screen.kind === 'form') return state;
  if (screen.kind === 'menu' && !state.isUsed) return withScreen(state, { ...screen, focus: menuFocus(state) });
  const row = targetsOf(before)[screen.focus];
  if (row === undefined) return state;
  const wanted = JSON.stringify(row.command);
  const targets = targetsOf(state);
  if (JSON.stringify(targets[screen.focus]?.command) === wanted) return state;
  const focus = targets.findIndex(({ command }) => JSON.stringify(command) === wanted);
  return focus < 0 ? state : withScreen(state, { ...screen, focus });
}

function targetsOf(state: ServerState) {
  return serverPageOf(state).rows.filter(({ command }) => command !== null);
}

export function ordered(before: ServerState, id: number, { sentence, shown }: Outcome): ServerStep {
  const pending = before.pending.find((each) => each.id === id);
  const state = pending === undefined ? before : followed(without(before, id), pending);
  const done: ServerState = { ...state, note: sentence };
  return lookNow(shown === null ? done : openPopup(done, notice(shown.title, shown.text)));
}

/** Shows the whole refusal. An open form stays, so that the user can correct it. */
export function refused(before: ServerState, id: number, { code, message }: Failure): ServerStep {
  const pending = before.pending.find((each) => each.id === id);
  const doing = pending === undefined ? 'The change' : doingOf(pending.order);
  return lookNow(openPopup(without(before, id), notice('Not done', `${doing}: ${message} [${code}]`)));
}

function without(state: ServerState, id: number): ServerState {
  return { ...state, pending: state.pending.filter((each) => each.id !== id) };
}

/** The screen after a change: its form closes, a new volume is shown, a removed one is not. */
function followed(state: ServerState, { order, dialog }: Pending): ServerState {
  const top = topOf(state);
  if (top.kind === 'form' && top.dialog === dialog) {
    const next = closeScreen(state);
    if (order.kind === 'create') {
      const { name, universe } = order.volume;
      return openScreen(next, { kind: 'volume', volume: { name, universe }, focus: 0 });
    }
    return order.kind === 'rename' ? renamed(next, order) : next;
  }
  const isGone =
    (order.kind === 'remove' && top.kind === 'volume' && isSame(top.volume, order.volume)) ||
    (order.kind === 'remove-pool' && top.kind === 'pool' && top.name === order.name) ||
    (order.kind === 'remove-client' && top.kind === 'client' && top.name === order.name);
  return isGone ? closeScreen(state) : state;
}

function renamed(state: ServerState, { volume, to }: Extract<Pending['order'], { kind: 'rename' }>): ServerState {
  const top = topOf(state);
  return top.kind === 'volume' && isSame(top.volume, volume) ? withScreen(state, { ...top, volume: to }) : state;
}
