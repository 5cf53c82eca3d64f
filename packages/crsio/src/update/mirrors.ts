// Updates the page of mirrors: asks rsiod while the page is shown, and makes and dissolves mirrors. Invariant: nothing is asked after the
// user has left the page.

import { volumeLabel } from '@rsio/common/lib/volume-name';
import { fieldText, type Form } from '../model/form.ts';
import { type Failure, type MirrorsSample, type MirrorsScreen, pushPopup, pushScreen, type State } from '../model/state.ts';
import { type Step, step } from '../model/step.ts';
import { mirrorChoices } from '../pages/mirrors-page.ts';

export function openMirrors(state: State): Step {
  const run = state.runs + 1;
  const screen: MirrorsScreen = { kind: 'mirrors', focus: 0, run, now: null, failure: null };
  return step({ ...pushScreen(state, screen), runs: run }, { kind: 'ask-mirrors', run });
}

export function mirrorsHeard(state: State, run: number, answer: MirrorsSample | Failure): Step {
  const screen = screenOf(state, run);
  if (screen === null) return step(state);
  const next = 'code' in answer ? { ...screen, now: null, failure: answer } : { ...screen, now: answer, failure: null };
  return step(replaced(state, next), { kind: 'ask-mirrors-later', run });
}

export function mirrorsDue(state: State, run: number): Step {
  return screenOf(state, run) === null ? step(state) : step(state, { kind: 'ask-mirrors', run });
}

/** Something has been changed: the page, if it is open, shows it at once. */
export function mirrorsAgain(state: State): Step {
  const screen = state.screens.find(({ kind }) => kind === 'mirrors');
  if (screen?.kind !== 'mirrors') return step(state);
  const run = state.runs + 1;
  return step({ ...replaced(state, { ...screen, run }), runs: run }, { kind: 'ask-mirrors', run });
}

export function chooseForMirror(state: State, volume: string): Step {
  const screen = state.screens.find(({ kind }) => kind === 'mirrors');
  if (screen?.kind !== 'mirrors' || screen.now === null) return step(state);
  return step(pushPopup(state, { title: volume, text: '', choices: mirrorChoices(screen.now, volume), focus: 0 }));
}

export function confirmDissolving(state: State, volume: string): Step {
  const text = `The replicas of ${volume} become volumes of their own, and nothing of their data is removed`;
  const choices = [
    { label: `Dissolve ${volume}`, command: { do: 'remove-mirror-now', volume } },
    { label: 'Keep it', command: { do: 'close-popup' } },
  ] as const;
  return step(pushPopup(state, { title: 'Dissolve', text, choices, focus: 1 }));
}

export function dissolve(state: State, volume: string): Step {
  const screen = state.screens.find(({ kind }) => kind === 'mirrors');
  const mirror = screen?.kind === 'mirrors' ? screen.now?.mirrors.find((each) => volumeLabel(each) === volume) : undefined;
  if (mirror === undefined) return step({ ...state, note: `${volume} is not there any more` });
  const { namespace, name, universe } = mirror;
  return step({ ...state, note: `Dissolving ${volume} ...` }, { kind: 'remove-mirror', mirror: { namespace, name, universe } });
}

/** The form must have been checked. */
export function createMirror(state: State, form: Form): Step {
  const texts = Object.fromEntries(form.fields.map((field) => [field.key, fieldText(field)]));
  const { name = '', size = '', servers = '', witness = '', namespace = '', pool = '' } = texts;
  return step(
    { ...state, note: `Creating mirror ${name} ...` },
    { kind: 'create-mirror', wish: { name, size, servers, witness, namespace, pool } },
  );
}

function screenOf(state: State, run: number): MirrorsScreen | null {
  const screen = state.screens.find(({ kind }) => kind === 'mirrors');
  return screen?.kind === 'mirrors' && screen.run === run ? screen : null;
}

function replaced(state: State, next: MirrorsScreen): State {
  const [first, ...others] = state.screens;
  return { ...state, screens: [first, ...others.map((screen) => (screen.kind === 'mirrors' ? next : screen))] };
}
