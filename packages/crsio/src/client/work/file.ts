// Saves the file, reads it again, and leaves crsio. crsio asks the user before it discards unsaved changes. Invariant: a file that another
// program changed is overwritten only after the user has been told of the change and has chosen to overwrite the file.

import { printIni } from '@rsio/common/config/reader/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { plural } from '@rsio/base/lib/units';
import { reloadApps } from '@rsio/api/manage/applications';
import {
  ask,
  back,
  end,
  type Failure,
  failureOf,
  failureText,
  onTop,
  pageOf,
  popped,
  pushed,
  report,
  reportFailure,
} from '../../machine/machine.ts';
import { request, step, topOf } from '../../machine/machine.ts';
import { acceptTop } from '../../machine/form-page.ts';
import { textRow } from '../../machine/rows.ts';
import { differenceOf } from '../model/difference.ts';
import { DIFFERENCE_HELP } from '../model/help-text.ts';
import type { Ports, StoredFile } from '../model/ports.ts';
import { type ClientChoice, type ClientCommand, type ClientPage, type ClientState, type ClientStep } from '../model/state.ts';
import { configOf, documentIn, editing, isUnsaved } from '../model/state.ts';
import { failed, startDaemon } from './rsiod.ts';

/** Saves the document after accepting an open form for a section. If the form is not accepted, nothing is saved. */
export function saveAll(isLeaving: boolean): ClientCommand {
  return editing((state) => {
    const top = topOf(state);
    if (top.kind !== 'form' || !top.isKept) return save(state, isLeaving);
    const accepted = acceptTop(state);
    return topOf(accepted.state).kind === 'form' ? accepted : save(accepted.state, isLeaving);
  });
}

function save(state: ClientState, isLeaving: boolean, before = state.stored.fingerprint): ClientStep {
  if (state.saving !== null) return step(state);
  const text = printIni(state.document);
  const effect = request<ClientState, StoredFile>(
    () => state.ports.saveFile(text, before),
    (stored) => (now) => saved(now, stored),
    (failure) => (now) => notSaved(now, failure),
  );
  return step({ ...state, saving: { isLeaving }, note: null }, effect);
}

function saved(state: ClientState, stored: StoredFile): ClientStep {
  // The page with the difference is closed, because the file and the document are now equal.
  const [first = state.pages[0], ...others] = state.pages.filter((page) => page.kind === 'form' || page.id !== DIFFERENCE);
  const next: ClientState = { ...state, stored, clean: stored.text, note: `Saved ${state.configFile}`, pages: [first, ...others] };
  const effect = request<ClientState, Reload>(
    () => reload(state.ports),
    (outcome) => (now) => reloaded(now, outcome),
    (failure) => (now) => reloaded(now, { rsiod: { failure }, rsapp: null }),
  );
  return step(next, effect);
}

function notSaved(state: ClientState, failure: Failure): ClientStep {
  const next: ClientState = { ...state, saving: null };
  const refuse = (now: ClientState, reason: Failure): ClientStep => step(reportFailure(now, 'Not saved', reason));
  if (failure.code !== 'E_CHANGED') return refuse(next, failure);
  const effect = request<ClientState, StoredFile>(
    () => state.ports.readFile(),
    (theirs) => (now) => changed(now, theirs),
    (unreadable) => (now) => refuse(now, unreadable),
  );
  return step(next, effect);
}

/** Called when another program has changed the file. `theirs` is the new content. */
function changed(state: ClientState, theirs: StoredFile): ClientStep {
  const base = onTop(state, DIFFERENCE) === null ? state : popped(state);
  const text = 'Another program has changed the file. Nothing was written';
  return step(
    ask(pushed(base, differencePage(theirs)), 'The file was changed', text, [
      ['Show what differs', null],
      [REREAD.label, REREAD.command],
      ['Continue editing', back],
    ]),
  );
}

const DIFFERENCE = 'difference';
const REREAD: ClientChoice = { label: 'Reread the file and discard my changes', command: read };

function differencePage(theirs: StoredFile): ClientPage {
  const overwrite = editing((state) => save(state, false, theirs.fingerprint));
  return pageOf(DIFFERENCE, (state) => ({
    title: 'File on disk (-) and your version (+)',
    rows: differenceOf(theirs.text, printIni(state.document)).map(({ sign, text }) => textRow(`${sign} ${text}`)),
    actions: [REREAD, { label: 'Overwrite the file with my version', command: overwrite }],
    hint: 'F7: reread or overwrite. Esc continues editing',
    help: { title: 'The file was changed', text: DIFFERENCE_HELP },
  }));
}

/** The changes that a daemon has applied, or the reason why it has applied none; null if it is not running. */
type Outcome = { readonly changes: readonly string[] } | { readonly failure: Failure } | null;

interface Reload {
  readonly rsiod: Outcome;
  readonly rsapp: Outcome;
}

async function reload(ports: Ports): Promise<Reload> {
  const rsiod = await outcomeOf(async () => (await ports.call('reload', {})).applied);
  return { rsiod, rsapp: await outcomeOf(() => reloadApps(ports.callApp)) };
}

async function outcomeOf(work: () => Promise<readonly string[] | null>): Promise<Outcome> {
  try {
    const changes = await work();
    return changes === null ? null : { changes };
  } catch (thrown) {
    const failure = failureOf(thrown);
    return failure.code === 'E_NOT_RUNNING' ? null : { failure };
  }
}

/** Reports the end of a save. After "Save and leave", crsio also ends, unless a daemon could not reload the file. */
function reloaded(before: ClientState, outcomes: Reload): ClientStep {
  const state: ClientState = { ...before, saving: null, note: `Saved ${before.configFile}` };
  const { note, startCommand } = state;
  const { rsiod, rsapp } = outcomes;
  for (const program of ['rsiod', 'rsapp'] as const) {
    const outcome = outcomes[program];
    if (outcome === null || !('failure' in outcome)) continue;
    const text = `${note}, but ${program} did not apply it: ${failureText(outcome.failure)}`;
    return step(report(state, `${program} keeps its old configuration`, text));
  }
  if (before.saving?.isLeaving === true && !isUnsaved(state)) return end(state);
  const count = (outcome: Outcome): string => plural(outcome !== null && 'changes' in outcome ? outcome.changes.length : 0, 'change');
  const more = rsapp === null ? '' : `; rsapp: ${count(rsapp)}`;
  if (rsiod !== null) return step({ ...state, note: `${note}; rsiod has applied it, ${count(rsiod)}${more}` });
  if (!isComplete(state)) return step({ ...state, note: `${note}; rsiod is not running; start it with: ${startCommand}` });
  return step(
    ask(state, 'rsiod is not running', `Start it now (${startCommand})?`, [
      ['Start rsiod', startDaemon],
      ['Not now', null],
    ]),
  );
}

/** True if the file contains everything that rsiod needs to reach a volume. */
function isComplete(state: ClientState): boolean {
  const { interfaces, namespaces } = configOf(state);
  return interfaces.length > 0 && namespaces.some(({ servers }) => servers.length > 0);
}

/** Reads the file again. If unsaved changes would be lost, asks the user first. */
export function readAgain(state: ClientState): ClientStep {
  if (!isUnsaved(state)) return read(state);
  const answers = [
    [REREAD.label, REREAD.command],
    ['Continue editing', null],
  ] as const;
  return step(ask(state, 'Reread the file', 'Your changes are not saved', answers, 1));
}

function read(state: ClientState): ClientStep {
  return step(
    state,
    request(
      () => state.ports.readFile(),
      (stored) => (now) => wasRead(now, stored),
      failed('Not read'),
    ),
  );
}

/** Replaces the document with the current file if the configuration reader accepts the file. */
function wasRead(state: ClientState, stored: StoredFile): ClientStep {
  try {
    parseRscltConfig(stored.text, state.configFile);
  } catch (thrown) {
    return step(reportFailure(state, 'The file has errors', failureOf(thrown)));
  }
  const document = documentIn(stored);
  const [menu] = state.pages;
  const pages: ClientState['pages'] = [menu.kind === 'list' ? { ...menu, focus: 0 } : menu];
  return step({ ...state, document, clean: printIni(document), stored, pages, popups: [], note: `Reread ${state.configFile}` });
}

export function leave(state: ClientState): ClientStep {
  if (!isUnsaved(state)) return end(state);
  return step(
    ask(state, 'Leave crsio', 'Your changes are not saved', [
      ['Save and leave', saveAll(true)],
      ['Leave and discard the changes', end],
      ['Stay', null],
    ]),
  );
}
