// Updates the status page: takes samples from rsiod while the page is shown, and attaches and detaches volumes. Invariant: no samples are
// taken after the user has left the page.

import { type Failure, notice, pushPopup, pushScreen, type Sample, type State, topScreen, withTop } from '../model/state.ts';
import { type Step, step } from '../model/step.ts';
import { mirrorsAgain } from './mirrors.ts';

export function openStatus(state: State): Step {
  const run = state.runs + 1;
  const screen = { kind: 'status', focus: 0, run, before: null, now: null, failure: null } as const;
  return step({ ...pushScreen(state, screen), runs: run }, { kind: 'sample', run });
}

export function sampled(state: State, run: number, sample: Sample | Failure): Step {
  const screen = statusOf(state, run);
  if (screen === null) return step(state);
  const failed = 'code' in sample;
  const next = failed
    ? { ...screen, before: null, now: null, failure: sample }
    : { ...screen, before: screen.now, now: sample, failure: null };
  return step(replaceStatus(state, next), { kind: 'sample-later', run });
}

export function sampleDue(state: State, run: number): Step {
  return statusOf(state, run) === null ? step(state) : step(state, { kind: 'sample', run });
}

export function attach(state: State, volume: string): Step {
  return step({ ...state, note: `Attaching ${volume} ...` }, { kind: 'attach', volume });
}

/** Asks the user before detaching, because programs may be using the volume. */
export function confirmDetach(state: State, volume: string): Step {
  const choices = [
    { label: `Detach ${volume}`, command: { do: 'detach-now', volume } },
    { label: 'Leave it attached', command: { do: 'close-popup' } },
  ] as const;
  return step(pushPopup(state, { title: 'Detach', text: `${volume} will no longer be available on this machine`, choices, focus: 1 }));
}

export function detach(state: State, volume: string): Step {
  return step({ ...state, note: `Detaching ${volume} ...` }, { kind: 'detach', volume });
}

/**
 * Reports that rsiod was started, or that a volume was attached or detached. Takes a sample at once, so that an open status page shows the
 * change.
 */
export function done(state: State, sentence: string): Step {
  if (state.screens.some(({ kind }) => kind === 'mirrors')) return mirrorsAgain({ ...state, note: sentence });
  const screen = state.screens.find(({ kind }) => kind === 'status');
  if (screen?.kind !== 'status') return step({ ...state, note: sentence });
  const run = state.runs + 1;
  return step(replaceStatus({ ...state, note: sentence, runs: run }, { ...screen, run }), { kind: 'sample', run });
}

export function failed(state: State, what: string, failure: Failure): Step {
  return step(pushPopup({ ...state, note: null }, notice(what, `${failure.message} [${failure.code}]`)));
}

/** Returns the status page of the given run; null if the user has left the page. */
function statusOf(state: State, run: number) {
  const screen = state.screens.find(({ kind }) => kind === 'status');
  return screen?.kind === 'status' && screen.run === run ? screen : null;
}

function replaceStatus(state: State, next: State['screens'][number]): State {
  if (topScreen(state).kind === 'status') return withTop(state, next);
  const [first, ...others] = state.screens;
  return { ...state, screens: [first, ...others.map((screen) => (screen.kind === 'status' ? next : screen))] };
}
