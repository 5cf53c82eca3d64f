// Handles the commands to save the file, to read it again and to leave crsio. A step that would lose unsaved changes asks the user first.
// Invariant: a file that another program changed is overwritten only after the user has seen the difference and has agreed to overwrite the
// file.

import { printIni } from '@rsio/common/config/reader/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { toRsError } from '@rsio/common/lib/errors';
import {
  configOf,
  documentIn,
  type Failure,
  isUnsaved,
  notice,
  type Popup,
  pushPopup,
  pushScreen,
  type State,
  type StoredFile,
  topScreen,
} from '../model/state.ts';
import { type Step, step, type ReloadOutcome } from '../model/step.ts';

export function save(state: State, isLeaving: boolean, before = state.stored.fingerprint): Step {
  if (state.saving !== null) return step(state);
  const text = printIni(state.document);
  return step({ ...state, saving: { isLeaving }, note: null }, { kind: 'save', text, before });
}

export function saved(state: State, stored: StoredFile): Step {
  const next: State = { ...state, stored, clean: stored.text, note: `Saved ${state.configFile}` };
  // Close the difference screen, because the file and the document are now equal.
  const screens = next.screens.filter(({ kind }) => kind !== 'difference');
  const [first = next.screens[0], ...others] = screens;
  return step({ ...next, screens: [first, ...others] }, { kind: 'reload-daemon' });
}

export function notSaved(state: State, failure: Failure, theirs: StoredFile | null): Step {
  const next: State = { ...state, saving: null };
  if (theirs === null) return step(pushPopup(next, notice('Not saved', `${failure.message} [${failure.code}]`)));
  const text = 'Another program has changed the file. Nothing was written';
  return step(
    pushPopup(pushScreen(withoutDifference(next), { kind: 'difference', focus: 0, theirs }), {
      title: 'The file was changed',
      text,
      choices: [
        { label: 'Show what differs', command: { do: 'close-popup' } },
        { label: 'Reread the file and discard my changes', command: { do: 'read-file-now' } },
        { label: 'Continue editing', command: { do: 'back' } },
      ],
      focus: 0,
    }),
  );
}

/**
 * Continues after the file has been written and rsiod has answered the request to reload it. If the user chose "Save and leave", crsio
 * exits unless the reload failed.
 */
export function reloaded(before: State, outcome: ReloadOutcome): Step {
  const saved = `Saved ${before.configFile}`;
  const state: State = { ...before, saving: null };
  if (before.saving?.isLeaving === true && outcome.kind !== 'failed' && !isUnsaved(state)) return step(state, { kind: 'end' });
  switch (outcome.kind) {
    case 'not-running':
      return step(
        isComplete(state)
          ? pushPopup({ ...state, note: saved }, startQuestion(state))
          : { ...state, note: `${saved}; rsiod is not running; start it with: ${state.startCommand}` },
      );
    case 'applied': {
      const count = outcome.changes.length;
      return step({ ...state, note: `${saved}; rsiod has applied it, ${count} ${count === 1 ? 'change' : 'changes'}` });
    }
    case 'failed': {
      const text = `${saved}, but rsiod did not apply it: ${outcome.failure.message} [${outcome.failure.code}]`;
      return step(pushPopup({ ...state, note: saved }, notice('rsiod keeps its old configuration', text)));
    }
  }
}

/** True if the file contains everything that rsiod needs to reach a volume. */
function isComplete(state: State): boolean {
  const { interfaces, namespaces } = configOf(state);
  return interfaces.length > 0 && namespaces.some(({ servers }) => servers.length > 0);
}

function startQuestion({ startCommand }: State): Popup {
  return {
    title: 'rsiod is not running',
    text: `Start it now (${startCommand})?`,
    choices: [
      { label: 'Start rsiod', command: { do: 'start-daemon' } },
      { label: 'Not now', command: { do: 'close-popup' } },
    ],
    focus: 0,
  };
}

/** Reads the file again, but asks the user first if changes would be lost. */
export function readAgain(state: State): Step {
  if (!isUnsaved(state)) return step(state, { kind: 'read-file' });
  const choices = [
    { label: 'Reread the file and discard my changes', command: { do: 'read-file-now' } },
    { label: 'Continue editing', command: { do: 'close-popup' } },
  ] as const;
  return step(pushPopup(state, { title: 'Reread the file', text: 'Your changes are not saved', choices, focus: 1 }));
}

/** Replaces the document with the current file if the configuration reader accepts the file. */
export function fileRead(state: State, stored: StoredFile): Step {
  try {
    parseRscltConfig(stored.text, state.configFile);
  } catch (thrown) {
    const { message, code } = toRsError(thrown);
    return step(pushPopup(state, notice('The file has errors', `${message} [${code}]`)));
  }
  const screens: State['screens'] = [{ kind: 'menu', focus: 0 }];
  const note = `Reread ${state.configFile}`;
  const document = documentIn(stored);
  return step({ ...state, document, clean: printIni(document), stored, screens, popups: [], note });
}

export function leave(state: State): Step {
  if (!isUnsaved(state)) return step(state, { kind: 'end' });
  const popup = {
    title: 'Leave crsio',
    text: 'Your changes are not saved',
    choices: [
      { label: 'Save and leave', command: { do: 'save-and-leave' } },
      { label: 'Leave and discard the changes', command: { do: 'end' } },
      { label: 'Stay', command: { do: 'close-popup' } },
    ],
    focus: 0,
  } as const;
  return step(state.popups.some(({ title }) => title === popup.title) ? state : pushPopup(state, popup));
}

function withoutDifference(state: State): State {
  if (topScreen(state).kind !== 'difference') return state;
  const [first, ...others] = state.screens;
  return { ...state, screens: [first, ...others.slice(0, -1)] };
}
