// A form becomes part of the document, whole or not at all: the edit is made, the reader looks at all of the file, and what it refuses is
// the form's problem. Invariant: a document that comes out of here is one that the reader accepts.

import { type IniDocument, printIni } from '@rsio/common/config/ini/ini-document';
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
import type { FormPurpose, Removable } from './command.ts';
import { checkForm, fieldText, type Form, formText } from './form.ts';
import { placeOf } from './forms.ts';
import type { FormScreen, State } from './state.ts';

/** The new document, or the form with its problem. */
export type Accepted = { readonly document: IniDocument } | { readonly form: Form };

export function acceptForm(state: State, { purpose, form }: FormScreen): Accepted {
  const checked = checkForm(form);
  if (checked.problem !== null) return { form: checked };
  const outcome = tryEdit(state, (document) => edited(document, purpose, form));
  return 'problem' in outcome ? { form: { ...form, problem: outcome.problem } } : outcome;
}

/** Without the section, or why that cannot be. */
export function removeSection(state: State, what: Removable): { readonly document: IniDocument } | { readonly problem: string } {
  const place =
    what.kind === 'server' ? { type: what.kind, namespace: what.namespace, name: what.name } : { type: what.kind, name: what.name };
  return tryEdit(state, (document) => removeConfigSection(document, place));
}

/** Makes an edit if the reader accepts what comes of it. */
export function tryEdit(
  state: Pick<State, 'document' | 'configFile'>,
  edit: (document: IniDocument) => IniDocument,
): { readonly document: IniDocument } | { readonly problem: string } {
  try {
    const document = edit(state.document);
    parseRscltConfig(printIni(document), state.configFile);
    return { document };
  } catch (thrown) {
    if (thrown instanceof RsError) return { problem: withoutPlace(thrown.message, state.configFile) };
    throw thrown;
  }
}

// The line is one of a file that does not exist yet: it would only mislead.
function withoutPlace(message: string, file: string): string {
  const rest = message.startsWith(`${file}:`) ? message.slice(file.length + 1) : message;
  return rest.replace(/^\d+: /, '').replace(/ \(first in line \d+\)/, '');
}

function edited(document: IniDocument, purpose: FormPurpose, form: Form): IniDocument {
  const place = placeOf(purpose);
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
      return document;
  }
}

function valuesOf(form: Form): KeyValues {
  const set = form.fields.filter((field) => field.key !== 'name' && fieldText(field) !== '');
  return Object.fromEntries(set.map((field) => [field.key, fieldText(field)]));
}
