// The forms of the sections of the file. The schema supplies the fields of a form, and the document supplies the values. When the form is
// accepted, the document is changed. Invariants: a form has a field for every key of its section; the configuration reader accepts the
// document after each edit; an edit is made completely or not at all.

import type { IniDocument, IniSection } from '@rsio/common/config/reader/ini-document';
import {
  addApplication,
  addInterface,
  addNamespace,
  addServer,
  changeSection,
  renameConfigSection,
  type SectionRef,
} from '@rsio/common/config/rscltcfg-edit';
import type { KeyTable } from '@rsio/common/config/schema/entries';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import { name as nameType } from '@rsio/common/config/schema/value-types';
import { addressOffers, freeName } from '../../machine/address-offers.ts';
import { entryOf, type FieldSpec, fieldText, type Form, formOf, formText, type Offer } from '../../machine/form.ts';
import { withForm } from '../../machine/form-page.ts';
import { popped, step } from '../../machine/machine.ts';
import { KEYS_HELP } from '../model/help-text.ts';
import { type ClientChoice, type ClientCommand, type ClientState, type ClientStep, configOf, editing } from '../model/state.ts';
import { openClientForm } from './client-form.ts';
import { tryEdit } from './edits.ts';

const schema = SCHEMA.rscltcfg;

/** The section that a form edits. A form whose `name` is null creates a new section. */
export type Section =
  | { readonly kind: 'defaults' }
  | { readonly kind: 'interface' | 'namespace' | 'application'; readonly name: string | null }
  | { readonly kind: 'server'; readonly namespace: string; readonly name: string | null };

/** Keys whose fields are always shown. The button "More settings" shows the other fields. */
const FIRST_KEYS = {
  interface: ['address'],
  namespace: ['namespaceid', 'nodename', 'nodekey', 'namespacekey'],
  server: ['address', 'port'],
  application: ['volumes', 'nodes', 'mounts', 'service', 'start', 'stop', 'check', 'address'],
} as const;

interface SectionFormOptions {
  /** Actions of the form (F7), which are listed before "Apply". */
  readonly actions?: readonly ClientChoice[];
  /** Called when the form has closed; returns the new state. `name`: the name of the section. */
  readonly follow?: (state: ClientState, name: string) => ClientState;
  /** Identifies the form; by default, a new object. */
  readonly owner?: object;
}

/** Returns a command that opens the form of a section. */
export function editSection(
  section: Section,
  { actions = [], follow = (state) => state, owner = {} }: SectionFormOptions = {},
): ClientCommand {
  const take = (state: ClientState, form: Form): ClientStep => {
    const outcome = tryEdit(state, (document) => edited(document, section, form));
    if ('problem' in outcome) return step(withForm(state, () => ({ ...form, problem: outcome.problem })));
    return step(follow(popped({ ...state, document: outcome.document }), formText(form, 'name')));
  };
  const help = `[${section.kind}]: ${schema[section.kind].help}.\n\n${KEYS_HELP}`;
  return editing((state) => openClientForm(state, { owner, form: formFor(state, section), actions, take, help }));
}

/** The existing section that a form changes; null if the form creates a section. */
function refOf(section: Section): SectionRef | null {
  if (section.kind === 'defaults') return { type: 'defaults' };
  const { kind, name } = section;
  if (name === null) return null;
  return kind === 'server' ? { type: kind, namespace: section.namespace, name } : { type: kind, name };
}

function formFor(state: ClientState, section: Section): Form {
  const ref = refOf(section);
  const now = ref === null ? null : sectionAt(state.document, ref);
  if (section.kind === 'defaults') return formOf('Defaults', specsOf(schema.defaults.keys, now, null, []));
  const { kind, name } = section;
  const { interfaces } = configOf(state);
  const free = kind === 'interface' ? freeName(interfaces) : '';
  const offers = kind === 'interface' ? addressOffers(state, interfaces) : [];
  const help = `Name of the section. ${schema[kind].help}`;
  const nameSpec: FieldSpec = { key: 'name', entry: entryOf(nameType, help, true), text: name ?? free };
  return formOf(titleOf(section), [nameSpec, ...specsOf(schema[kind].keys, now, FIRST_KEYS[kind], offers)]);
}

function titleOf(section: Exclude<Section, { readonly kind: 'defaults' }>): string {
  const { kind, name } = section;
  if (kind !== 'server') return name === null ? `New ${kind}` : `${kind.charAt(0).toUpperCase()}${kind.slice(1)} ${name}`;
  return name === null ? `New server interface in ${section.namespace}` : `Server interface ${name}`;
}

/** The fields of a section. `first` lists the keys whose fields are always shown; null means all keys. */
function specsOf(keys: KeyTable, section: IniSection | null, first: readonly string[] | null, addresses: readonly Offer[]): FieldSpec[] {
  return Object.entries(keys).map(([key, entry]) => ({
    key,
    entry,
    text: section?.contents.findLast((content) => content.key === key)?.value ?? '',
    ...(key === 'address' ? { offers: addresses } : {}),
    isMore: first !== null && !first.includes(key),
  }));
}

/** Returns a section of the document, or null if the document does not have the section. */
function sectionAt(document: IniDocument, place: SectionRef): IniSection | null {
  let namespace: string | null = null;
  for (const section of document.sections) {
    if (section.type === 'namespace') namespace = section.name;
    const isHome = !('namespace' in place) || place.namespace === namespace;
    const isNamed = place.type === 'defaults' || place.name === section.name;
    if (section.type === place.type && isHome && isNamed) return section;
  }
  return null;
}

function edited(document: IniDocument, section: Section, form: Form): IniDocument {
  const ref = refOf(section);
  const name = formText(form, 'name');
  const texts = form.fields.filter(({ key }) => key !== 'name').map((field) => [field.key, fieldText(field) || null] as const);
  if (ref !== null) {
    const changed = changeSection(document, ref, Object.fromEntries(texts));
    return ref.type === 'defaults' ? changed : renameConfigSection(changed, ref, name);
  }
  const values = Object.fromEntries(texts.flatMap(([key, text]) => (text === null ? [] : [[key, text]])));
  switch (section.kind) {
    case 'interface':
      return addInterface(document, name, values);
    case 'namespace':
      return addNamespace(document, name, values);
    case 'application':
      return addApplication(document, name, values);
    case 'server':
      return addServer(document, section.namespace, name, values);
    case 'defaults':
      return document;
  }
}
