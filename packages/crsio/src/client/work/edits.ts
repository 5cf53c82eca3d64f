// Edits of the document that need no form: removing a section, and adding all interfaces of this machine at once. The configuration reader
// checks the whole document after each edit. Invariant: an edit that the reader refuses changes nothing, and the reason is shown.

import { type IniDocument, printIni } from '@rsio/common/config/reader/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { addInterface, removeConfigSection } from '@rsio/common/config/rscltcfg-edit';
import { RsError } from '@rsio/base/lib/errors';
import { INTERFACES_MAX } from '@rsio/base/lib/limits';
import { plural } from '@rsio/base/lib/units';
import { checkRemoval } from '@rsio/api/manage/applications';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { freeNames, missingIn } from '../../machine/address-offers.ts';
import { ask, popped, report, request, step, topOf } from '../../machine/machine.ts';
import { type ClientCommand, type ClientState, type ClientStep, configOf, editing } from '../model/state.ts';
import { failed } from './rsiod.ts';

export type Removable =
  | { readonly type: 'interface' | 'namespace' | 'application'; readonly name: string }
  | { readonly type: 'server'; readonly namespace: string; readonly name: string };

export function askRemoval(what: Removable): ClientCommand {
  const { type, name } = what;
  const more = type === 'namespace' ? ' with its login data, servers and volumes' : '';
  const answers = [
    ['Remove', (state: ClientState) => removed(state, what)],
    ['Keep', null],
  ] as const;
  return editing((state) => {
    const problem = type === 'application' ? refusalOf(() => checkRemoval(state.applications.now, name)) : null;
    if (problem !== null) return step(report(state, 'Not removed', problem));
    return step(ask(state, `Remove ${type}`, `Remove ${type} ${name}${more}? The file changes only when you save`, answers, 1));
  });
}

function removed(state: ClientState, what: Removable): ClientStep {
  const outcome = tryEdit(state, (document) => removeConfigSection(document, what));
  if ('problem' in outcome) return step(report(state, 'Not removed', outcome.problem));
  const top = topOf(state);
  const isGone = top.kind === 'list' && top.id === pageId(what);
  return step({ ...(isGone ? popped(state) : state), document: outcome.document, note: `Removed ${what.type} ${what.name}` });
}

function refusalOf(check: () => void): string | null {
  try {
    check();
    return null;
  } catch (thrown) {
    if (thrown instanceof RsError) return thrown.message;
    throw thrown;
  }
}

/** Returns the id of the page about a section. */
export function pageId({ type, name }: Pick<Removable, 'type' | 'name'>): string {
  return `${type} ${name}`;
}

/** Returns the edited document if the configuration reader accepts it, otherwise the reader's error message. */
export function tryEdit(
  state: Pick<ClientState, 'document' | 'configFile'>,
  edit: (document: IniDocument) => IniDocument,
): { readonly document: IniDocument } | { readonly problem: string } {
  try {
    const document = edit(state.document);
    parseRscltConfig(printIni(document), state.configFile);
    return { document };
  } catch (thrown) {
    if (thrown instanceof RsError) return { problem: withoutLocation(thrown.message, state.configFile) };
    throw thrown;
  }
}

// Removes line numbers from an error message, because the numbers refer to unsaved text.
function withoutLocation(message: string, file: string): string {
  const rest = message.startsWith(`${file}:`) ? message.slice(file.length + 1) : message;
  return rest.replace(/^\d+: /, '').replace(/ \((first in )?line \d+\)/, '');
}

/** Returns the interfaces of this machine that can be added to the file: at most as many as the file can still hold. */
export function missingInterfaces(state: ClientState): readonly MachineInterface[] {
  const { interfaces } = configOf(state);
  return missingIn(interfaces, state.machine).slice(0, INTERFACES_MAX - interfaces.length);
}

export const addAllInterfaces = editing((state) => {
  const missing = missingInterfaces(state);
  if (missing.length === 0) return step({ ...state, note: 'The file already has all interfaces of this machine' });
  const names = freeNames(configOf(state).interfaces);
  const outcome = tryEdit(state, (before) =>
    missing.reduce((document, { address }) => addInterface(document, names.next().value ?? '', { address }), before),
  );
  if ('problem' in outcome) return step(report(state, 'Not added', outcome.problem));
  const note = `Added ${plural(missing.length, 'interface')}, F8 removes those that lead to no server`;
  return step({ ...state, document: outcome.document, note });
});

export function lookAtMachine(state: ClientState): ClientStep {
  const effect = request<ClientState, readonly MachineInterface[]>(
    () => state.ports.machine(),
    (machine) => (now) => step({ ...now, machine }),
    failed('Interfaces of this machine'),
  );
  return step(state, effect);
}
