// Applies a form to the document, removes a section, or adds all interfaces of this machine at once. The configuration reader checks the
// whole document after each edit. The form shows any error that the configuration reader finds. Invariants: the configuration reader
// accepts the resulting document; an edit is applied completely or not at all.

import { type IniDocument, printIni } from '@rsio/common/config/reader/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import {
  addInterface,
  addNamespace,
  addServer,
  changeSection,
  type KeyValues,
  removeConfigSection,
  renameConfigSection,
} from '@rsio/common/config/rscltcfg-edit';
import { RsError } from '@rsio/common/lib/errors';
import { INTERFACES_MAX } from '@rsio/common/lib/limits';
import { plural } from '@rsio/common/lib/units';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { FormPurpose, Removable } from './command.ts';
import { checkForm, fieldText, type Form, formText } from './form.ts';
import { sectionRefOf } from './forms.ts';
import { configOf, type FormScreen, notice, pushPopup, type State } from './state.ts';
import { type Step, step } from './step.ts';

/** The changed document, or the refused form with the reason for the refusal. */
export type Accepted = { readonly document: IniDocument } | { readonly form: Form };

export function acceptForm(state: State, { purpose, form }: FormScreen): Accepted {
  const checked = checkForm(form);
  if (checked.problem !== null) return { form: checked };
  const outcome = tryEdit(state, (document) => edited(document, purpose, form));
  return 'problem' in outcome ? { form: { ...form, problem: outcome.problem } } : outcome;
}

/** Returns the document without the section, or the reason why the section cannot be removed. */
export function removeSection(state: State, what: Removable): { readonly document: IniDocument } | { readonly problem: string } {
  const place =
    what.kind === 'server' ? { type: what.kind, namespace: what.namespace, name: what.name } : { type: what.kind, name: what.name };
  return tryEdit(state, (document) => removeConfigSection(document, place));
}

/** Returns the edited document if the configuration reader accepts it, otherwise the reader's error message. */
export function tryEdit(
  state: Pick<State, 'document' | 'configFile'>,
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

function edited(document: IniDocument, purpose: FormPurpose, form: Form): IniDocument {
  const place = sectionRefOf(purpose);
  const name = formText(form, 'name');
  if (place === null) return withNewSection(document, purpose, name, valuesOf(form));
  const changes = Object.fromEntries(
    form.fields.filter(({ key }) => key !== 'name').map((field) => [field.key, fieldText(field) === '' ? null : fieldText(field)]),
  );
  const changed = changeSection(document, place, changes);
  return place.type === 'defaults' ? changed : renameConfigSection(changed, place, name);
}

function withNewSection(document: IniDocument, purpose: FormPurpose, name: string, values: KeyValues): IniDocument {
  switch (purpose.kind) {
    case 'interface':
      return addInterface(document, name, values);
    case 'namespace':
      return addNamespace(document, name, values);
    case 'server':
      return addServer(document, purpose.namespace, name, values);
    case 'defaults':
    case 'explore':
    case 'mirror':
      return document;
  }
}

function valuesOf(form: Form): KeyValues {
  const set = form.fields.filter((field) => field.key !== 'name' && fieldText(field) !== '');
  return Object.fromEntries(set.map((field) => [field.key, fieldText(field)]));
}

/**
 * Returns the interfaces of this machine that can be added to the file. Omits the loopback and the interfaces that are already in the file.
 * Returns no more interfaces than the file can still hold (the constant INTERFACES_MAX).
 */
export function missingInterfaces(state: State): readonly MachineInterface[] {
  const { interfaces } = configOf(state);
  const known = new Set(interfaces.map(({ address }) => address));
  return state.machine.filter(({ address, isLoopback }) => !isLoopback && !known.has(address)).slice(0, INTERFACES_MAX - interfaces.length);
}

export function addAllInterfaces(state: State): Step {
  const missing = missingInterfaces(state);
  if (missing.length === 0) return step({ ...state, note: 'The file already has all interfaces of this machine' });
  const names = freeNames(state);
  const outcome = tryEdit(state, (before) =>
    missing.reduce((document, { address }) => addInterface(document, names.next().value ?? '', { address }), before),
  );
  if ('problem' in outcome) return step(pushPopup(state, notice('Not added', outcome.problem)));
  return step({
    ...state,
    document: outcome.document,
    note: `Added ${plural(missing.length, 'interface')}, F8 removes those that lead to no server`,
  });
}

function* freeNames(state: State): Generator<string> {
  const taken = new Set(configOf(state).interfaces.map(({ name }) => name));
  for (let number = 0; ; number++) if (!taken.has(`if${number}`)) yield `if${number}`;
}
