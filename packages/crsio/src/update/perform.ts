// Executes the commands of list lines, of actions, and of answers to questions. Invariant: a command that must first ask the user only
// opens a question; the answer carries a second command, which does the work.

import { acceptForm, addAllInterfaces, removeSection } from '../model/form-to-document.ts';
import type { Command, Removable } from '../model/command.ts';
import { checkForm, fillField, formText, isTouched } from '../model/form.ts';
import { formScreen } from '../model/forms.ts';
import {
  type FormScreen,
  isOutsideFile,
  notice,
  popScreen,
  type Popup,
  pushPopup,
  pushScreen,
  readOnlyNotice,
  type State,
  topScreen,
  withTop,
} from '../model/state.ts';
import { type Step, step } from '../model/step.ts';
import { pageOf } from '../pages/pages.ts';
import { findNamespace, findServers, takeFound, testPaths } from './exploring.ts';
import { leave, readAgain, save } from './saving.ts';
import { chooseForMirror, confirmDissolving, createMirror, dissolve, openMirrors } from './mirrors.ts';
import { confirmDetach, attach, detach, openStatus } from './watching.ts';

export function perform(before: State, command: Command): Step {
  // Every command except `help` closes the top popup, and may then open another one.
  const state: State = command.do === 'help' ? before : { ...before, popups: before.popups.slice(0, -1) };
  if (!state.isWritable && isEdit(command)) return step(pushPopup(state, readOnlyNotice(state.configFile)));
  switch (command.do) {
    case 'open':
      if (command.screen === 'mirrors') return openMirrors(state);
      return command.screen === 'status' ? openStatus(state) : step(pushScreen(state, { kind: command.screen, focus: 0 }));
    case 'open-namespace':
      return step(pushScreen(state, { kind: 'namespace', name: command.name, focus: 0 }));
    case 'edit':
      return step(pushScreen(state, formScreen(state, command.purpose)), { kind: 'look-at-machine' });
    case 'remove':
      return step(pushPopup(state, removalQuestion(command.what)));
    case 'remove-now':
      return removeNow(state, command.what);
    case 'fill':
      return fill(state, command.key, command.text);
    case 'add-all-interfaces':
      return addAllInterfaces(state);
    case 'start-daemon':
      return step({ ...state, note: 'Starting rsiod ...' }, { kind: 'start-daemon' });
    case 'look-at-machine':
      return step({ ...state, note: 'Rescanned the interfaces of this machine' }, { kind: 'look-at-machine' });
    case 'find-namespace':
      return findNamespace(state, command.request);
    case 'take-found':
      return takeFound(state, command.index);
    case 'find-servers':
      return findServersHere(state);
    case 'test-paths':
      return testPaths(state);
    case 'attach':
      return attach(state, command.volume);
    case 'detach':
      return confirmDetach(state, command.volume);
    case 'detach-now':
      return detach(state, command.volume);
    case 'mirror-choices':
      return chooseForMirror(state, command.volume);
    case 'remove-mirror':
      return confirmDissolving(state, command.volume);
    case 'remove-mirror-now':
      return dissolve(state, command.volume);
    default:
      return performOnFile(state, command);
  }
}

const EDITS: readonly Command['do'][] = [
  'remove',
  'add-all-interfaces',
  'take-found',
  'find-servers',
  'save',
  'save-and-leave',
  'overwrite',
];

function isEdit(command: Command): boolean {
  return command.do === 'edit' ? !isOutsideFile(command.purpose) : EDITS.includes(command.do);
}

type FileCommand = Extract<
  Command,
  {
    readonly do:
      | 'save'
      | 'save-and-leave'
      | 'leave'
      | 'end'
      | 'read-file'
      | 'read-file-now'
      | 'overwrite'
      | 'accept-form'
      | 'drop-form'
      | 'back'
      | 'help'
      | 'actions'
      | 'close-popup';
  }
>;

function performOnFile(state: State, command: FileCommand): Step {
  switch (command.do) {
    case 'save':
    case 'save-and-leave':
      return saveAll(state, command.do === 'save-and-leave');
    case 'leave':
      return leave(state);
    case 'end':
      return step(state, { kind: 'end' });
    case 'read-file':
      return readAgain(state);
    case 'read-file-now':
      return step(state, { kind: 'read-file' });
    case 'overwrite': {
      const screen = topScreen(state);
      return screen.kind === 'difference' ? save(state, false, screen.theirs.fingerprint) : step(state);
    }
    case 'accept-form':
      return accept(state);
    case 'drop-form':
    case 'back':
      return step(popScreen(state));
    case 'help':
      return step(pushPopup(state, helpOf(state)));
    case 'actions':
      return step(openActions(state));
    case 'close-popup':
      return step(state);
  }
}

/** Applies the form to the document. If the form is for a new namespace, then opens the screen of that namespace. */
export function accept(state: State): Step {
  const screen = topScreen(state);
  if (screen.kind !== 'form') return step(state);
  if (screen.purpose.kind === 'explore') return explore(state, screen);
  if (screen.purpose.kind === 'mirror') return makeMirror(state, screen);
  const accepted = acceptForm(state, screen);
  if ('form' in accepted) return step(withTop(state, { ...screen, form: accepted.form }));
  const name = formText(screen.form, 'name');
  const done = popScreen({ ...state, document: accepted.document });
  if (screen.purpose.kind !== 'namespace') return step(done);
  const below = topScreen(done);
  const own = { kind: 'namespace', name, focus: 0 } as const;
  // A renamed namespace is shown under its new name.
  return step(below.kind === 'namespace' ? withTop(done, { ...below, name }) : pushScreen(done, own));
}

/** The form stays if a field is wrong. */
function makeMirror(state: State, screen: FormScreen): Step {
  const checked = checkForm(screen.form);
  return checked.problem === null ? createMirror(popScreen(state), screen.form) : step(withTop(state, { ...screen, form: checked }));
}

function explore(state: State, { form }: FormScreen): Step {
  const wrong = acceptForm(state, { kind: 'form', purpose: { kind: 'explore' }, form });
  const screen = topScreen(state);
  if ('form' in wrong) return step(screen.kind === 'form' ? withTop(state, { ...screen, form: wrong.form }) : state);
  const address = formText(form, 'address');
  const port = formText(form, 'port');
  const namespacekey = formText(form, 'namespacekey');
  return findNamespace(popScreen(state), {
    address: address === '' ? null : address,
    port: port === '' ? null : Number(port),
    namespacekey: namespacekey === '' ? null : namespacekey,
  });
}

/** Saves the document after accepting an open form for a section. If the form is not accepted, nothing is saved. */
function saveAll(state: State, isLeaving: boolean): Step {
  const screen = topScreen(state);
  if (screen.kind !== 'form' || isOutsideFile(screen.purpose)) return save(state, isLeaving);
  const accepted = accept(state);
  return topScreen(accepted.state).kind === 'form' ? accepted : save(accepted.state, isLeaving);
}

/** Accepts an open login form before the search for servers. */
function findServersHere(state: State): Step {
  const screen = topScreen(state);
  if (screen.kind === 'form') {
    const accepted = accept(state);
    return topScreen(accepted.state).kind === 'form' ? accepted : findServersHere(accepted.state);
  }
  if (screen.kind === 'search') return findServers(state, screen.namespace);
  return screen.kind === 'namespace' ? findServers(state, screen.name) : step(state);
}

function fill(state: State, key: string, text: string): Step {
  const screen = topScreen(state);
  return step(screen.kind === 'form' ? withTop(state, { ...screen, form: fillField(screen.form, key, text) }) : state);
}

function removeNow(state: State, what: Removable): Step {
  const removed = removeSection(state, what);
  if ('problem' in removed) return step(pushPopup(state, notice('Not removed', removed.problem)));
  const screen = topScreen(state);
  const isGone = screen.kind === 'namespace' && what.kind === 'namespace';
  const next: State = { ...(isGone ? popScreen(state) : state), document: removed.document, note: `Removed ${what.kind} ${what.name}` };
  return step(next);
}

function removalQuestion(what: Removable): Popup {
  const more = what.kind === 'namespace' ? ' with its login data, servers and volumes' : '';
  return {
    title: `Remove ${what.kind}`,
    text: `Remove ${what.kind} ${what.name}${more}? The file changes only when you save`,
    choices: [
      { label: 'Remove', command: { do: 'remove-now', what } },
      { label: 'Keep', command: { do: 'close-popup' } },
    ],
    focus: 1,
  };
}

/** Closes a form. If the form was changed, asks before discarding it. */
export function dropForm(state: State, screen: FormScreen): Step {
  if (!isTouched(screen.form)) return step(popScreen(state));
  return step(
    pushPopup(state, {
      title: 'Leave the form',
      text: 'The form has unsaved entries',
      choices: [
        { label: 'Apply', command: { do: 'accept-form' } },
        { label: 'Discard', command: { do: 'drop-form' } },
        { label: 'Continue', command: { do: 'close-popup' } },
      ],
      focus: 0,
    }),
  );
}

function openActions(state: State): State {
  const { actions } = pageOf(state);
  const choices = actions.length === 0 ? [{ label: 'Nothing to do here', command: { do: 'close-popup' } as const }] : actions;
  return pushPopup(state, { title: 'Action', text: '', choices, focus: 0 });
}

function helpOf(state: State): Popup {
  const { title, text } = pageOf(state).help;
  return { title, text, choices: [], focus: 0 };
}
