// The page of applications, and the page of one of them: where it runs, why it does not, and the orders that rsapp takes here. Sections in
// the file are listed even if rsapp does not know them yet. Pure. Invariant: an application that needs attention is marked with `!`.

import type { ApplicationView } from '@rsio/api/rsapp/app-methods';
import { applicationLines } from '@rsio/api/manage/applications';
import { sinceText } from '@rsio/api/rsapp/app-methods';
import { open, pageOf, popped } from '../../machine/machine.ts';
import { choiceRow, columnsOf, commandRow, EMPTY_ROW, headingRow, problemRow, textRow } from '../../machine/rows.ts';
import { APPLICATIONS_HELP } from '../model/help-text.ts';
import { type ApplicationsSample, type ClientChoice, type ClientContent, type ClientPage } from '../model/state.ts';
import { type ClientRow, type ClientState, configOf } from '../model/state.ts';
import { askDrain, askEnd, askMove, drain, giveOrder } from '../work/applications.ts';
import { askRemoval, pageId } from '../work/edits.ts';
import { APPLICATIONS, openApplications } from '../work/rsiod.ts';
import { editSection } from '../work/section-forms.ts';
import { HELP } from './status-page.ts';

const HEADS = ['', 'Application', 'State', 'On', 'Since', 'Next'];
const ADDED = 'Added: save it (F3), add it on its other nodes, then start it once';
const HELP_TEXT = { title: 'Applications', text: APPLICATIONS_HELP };

export const OPEN_APPLICATIONS = openApplications(pageOf(APPLICATIONS, content));
const ADD: ClientChoice = {
  label: 'Add application',
  command: editSection({ kind: 'application', name: null }, { follow: (state) => ({ ...state, note: ADDED }) }),
};

function content(state: ClientState): ClientContent {
  const { now } = state.applications;
  const drains = now === null ? [] : [now.drained ? { label: 'End the drain of this node', command: drain(true) } : DRAIN];
  return {
    title: now === null ? 'Applications' : `Applications, seen by node ${now.node}`,
    rows: [...troubleRows(state), ...listRows(state)],
    actions: [ADD, ...drains, HELP],
    hint: 'Enter on an application shows it, F7 adds one, F8 removes one, Esc goes back',
    help: HELP_TEXT,
  };
}

const DRAIN: ClientChoice = { label: 'Drain this node: give all its applications away', command: askDrain };

function troubleRows({ applications: { now, failure }, appStart }: ClientState): ClientRow[] {
  if (failure?.code === 'E_NOT_RUNNING')
    return [
      textRow('! rsapp is not running on this machine: applications that run here go on, without checks and moves'),
      ...[EMPTY_ROW, textRow('Start it, also at each boot, with:'), textRow(`    ${appStart}`), EMPTY_ROW],
    ];
  if (failure !== null) return [textRow('! rsapp does not answer'), textRow(`${failure.message} [${failure.code}]`), EMPTY_ROW];
  if (now === null) return [textRow('Asking rsapp ...'), EMPTY_ROW];
  return now.drained ? [problemRow('! This node is drained: F7 ends the drain'), EMPTY_ROW] : [];
}

function listRows(state: ClientState): ClientRow[] {
  const { now } = state.applications;
  const views = now?.applications ?? [];
  const names = [...new Set([...views, ...configOf(state).applications].map(({ name }) => name))];
  if (names.length === 0) return [textRow('No application: F7 adds one')];
  const cells = names.map((name) => cellsOf(name, viewOf(state, name), now));
  const [head = '', ...lines] = columnsOf([HEADS, ...cells], [1, 14, 8]);
  const rows = names.map((name, index): ClientRow => {
    const why = viewOf(state, name)?.why ?? '';
    const row = commandRow(open(detailPage(name)), lines[index] ?? '', ...(why === '' ? [] : [`      ${why}`]));
    return { ...row, id: name, remove: removalOf(state, name) };
  });
  return [headingRow(head), ...rows];
}

function cellsOf(name: string, view: ApplicationView | null, now: ApplicationsSample | null): string[] {
  if (view === null || now === null) return ['', name, now === null ? '' : 'not saved, or not read by rsapp', '', '', ''];
  return [isWell(view) ? '+' : '!', name, view.state, view.on ?? '-', sinceText(view, now.wallMs), view.next ?? '-'];
}

/** An application that a person has ended is well. An application that has failed on all nodes is also stopped, but it is not well. */
function isWell({ state, failed, remains }: ApplicationView): boolean {
  return !remains && state !== 'waiting' && state !== 'unknown' && !failed;
}

function viewOf({ applications: { now } }: ClientState, name: string): ApplicationView | null {
  return now?.applications.find((one) => one.name === name) ?? null;
}

function isInFile(state: ClientState, name: string): boolean {
  return configOf(state).applications.some((one) => one.name === name);
}

function removalOf(state: ClientState, name: string): ClientRow['remove'] {
  return isInFile(state, name) ? askRemoval({ type: 'application', name }) : null;
}

// --- the page of one application

function detailPage(name: string): ClientPage {
  return pageOf(pageId({ type: 'application', name }), (state) => detail(state, name));
}

function detail(state: ClientState, name: string): ClientContent {
  const { now } = state.applications;
  const view = viewOf(state, name);
  const choices = [...(view === null || now === null ? [] : ordersFor(view, now.node)), ...editsFor(state, name)];
  const facts = view === null || now === null ? unknownRows(state) : applicationLines(view, now.wallMs).map((line) => textRow(line));
  const isAway = view !== null && view.on !== null && view.on !== now?.node;
  const away = isAway ? [EMPTY_ROW, textRow(`Node ${view.on ?? ''} has it: give orders there`)] : [];
  return {
    title: `Application ${name}`,
    rows: [...facts, ...away, EMPTY_ROW, ...choices.map(choiceRow)],
    actions: [...choices, HELP],
    hint: choices.length === 0 ? 'Esc goes back' : 'Enter gives the marked order, Esc goes back',
    help: HELP_TEXT,
  };
}

function unknownRows(state: ClientState): ClientRow[] {
  if (state.applications.now === null) return troubleRows(state);
  return [textRow('rsapp does not know it: F3 saves the file, and rsapp reads it')];
}

/** Returns the orders that rsapp would take here. The node that has an application takes the orders; if none has it, any node does. */
function ordersFor({ name, state, on, nodes, next }: ApplicationView, node: string): ClientChoice[] {
  if (on !== null && on !== node) return [];
  if (state === 'disabled') return [{ label: 'Enable', command: giveOrder(name, 'enable') }];
  const isHere = on === node;
  const isEnded = state === 'stopped' || state === 'new';
  const others = nodes.filter((one) => one !== node);
  const end = (order: 'stop' | 'disable') => (isHere && !isEnded ? askEnd(name, order) : giveOrder(name, order));
  return [
    ...(isHere && !isEnded ? [] : [{ label: 'Start on this node', command: giveOrder(name, 'start') }]),
    ...(isEnded ? [] : [{ label: 'Stop', command: end('stop') }]),
    ...(isHere && !isEnded && others.length > 0 ? [{ label: 'Move to another node', command: askMove(name, others, next) }] : []),
    { label: 'Disable', command: end('disable') },
  ];
}

function editsFor(state: ClientState, name: string): ClientChoice[] {
  if (!isInFile(state, name)) return [];
  // If the section now has another name, the page under the old name is closed.
  const follow = (after: ClientState, now: string): ClientState => (now === name ? after : popped(after));
  return [
    { label: 'Change its section', command: editSection({ kind: 'application', name }, { follow }) },
    { label: 'Remove it from the file', command: askRemoval({ type: 'application', name }) },
  ];
}
