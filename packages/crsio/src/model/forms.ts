// Builds the forms: the schema supplies the fields, and the document supplies their values. form-to-document.ts applies a completed form.
// Invariant: the form for a section has a field for every key that the schema defines for the section.

import type { SectionRef } from '@rsio/common/config/rscltcfg-edit';
import type { IniDocument, IniSection } from '@rsio/common/config/reader/ini-document';
import type { KeyEntry, KeyTable } from '@rsio/common/config/schema/entries';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import { address, keyText, name, port, size, type ValueType } from '@rsio/common/config/schema/value-types';
import { SECTOR_BYTES, VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { type FieldSpec, type Form, formOf, type Offer } from './form.ts';
import type { FormPurpose } from './command.ts';
import { PAIRED_SERVERS_MAX } from '../widgets/limits.ts';
import { configOf, type FormScreen, type State } from './state.ts';

const schema = SCHEMA.rscltcfg;
type NamedSection = 'interface' | 'namespace' | 'server';

/** Keys whose fields are always shown. The button "More settings" shows the other fields. */
const FIRST_KEYS: Readonly<Record<NamedSection, readonly string[]>> = {
  interface: ['address'],
  namespace: ['namespaceid', 'nodename', 'nodekey', 'namespacekey'],
  server: ['address', 'port'],
};

export function formScreen(state: State, purpose: FormPurpose): FormScreen {
  return { kind: 'form', purpose, form: formFor(state, purpose) };
}

/** Returns the section that a form changes. Returns null if the form creates a section or does not belong to the file. */
export function sectionRefOf(purpose: FormPurpose): SectionRef | null {
  switch (purpose.kind) {
    case 'defaults':
      return { type: 'defaults' };
    case 'server':
      return purpose.name === null ? null : { type: 'server', namespace: purpose.namespace, name: purpose.name };
    case 'interface':
    case 'namespace':
      return purpose.name === null ? null : { type: purpose.kind, name: purpose.name };
    case 'explore':
    case 'mirror':
      return null;
  }
}

function formFor(state: State, purpose: FormPurpose): Form {
  switch (purpose.kind) {
    case 'defaults': {
      const section = sectionAt(state.document, { type: 'defaults' });
      return formOf('Defaults', specsOf(schema.defaults.keys, section, null, []));
    }
    case 'interface': {
      const offers = addressOffers(state);
      const title = purpose.name === null ? 'New interface' : `Interface ${purpose.name}`;
      return namedForm(state, purpose, title, purpose.name ?? freeName(state, 'if'), offers);
    }
    case 'namespace':
      return namedForm(state, purpose, purpose.name === null ? 'New namespace' : `Namespace ${purpose.name}`, purpose.name ?? '', []);
    case 'server': {
      const title = purpose.name === null ? `New server interface in ${purpose.namespace}` : `Server interface ${purpose.name}`;
      return namedForm(state, purpose, title, purpose.name ?? '', []);
    }
    case 'explore':
      return formOf('Find NEW Namespace', EXPLORE_FIELDS);
    case 'mirror':
      return formOf('New mirror', mirrorFields(state));
  }
}

const EXPLORE_FIELDS: readonly FieldSpec[] = [
  {
    key: 'address',
    entry: optionalEntry(address, 'Address of a server behind a router; without an address, only the local subnets are explored'),
  },
  { key: 'port', entry: optionalEntry(port, 'Port of the namespace. Inherited from [defaults]') },
  { key: 'namespacekey', entry: optionalEntry(keyText, 'Key of the namespace; only answers that it signs are accepted') },
];

function mirrorFields(state: State): readonly FieldSpec[] {
  const namespaces = configOf(state).namespaces.map((each) => each.name);
  const page = state.screens.find(({ kind }) => kind === 'mirrors');
  const servers = (page?.kind === 'mirrors' ? page.now?.servers : undefined) ?? [];
  const needed = (type: KeyEntry<unknown>['type'], help: string): KeyEntry<unknown> => ({ ...optionalEntry(type, help), isRequired: true });
  const offered = (texts: readonly string[]): readonly Offer[] => texts.map((text) => ({ text, detail: '' }));
  return [
    { key: 'name', entry: needed(name, 'Name of the mirror, and of its volume on each server') },
    { key: 'size', entry: needed(size(SECTOR_BYTES, VOLUME_MAX_BYTES), 'Size of the mirror, such as 20g') },
    {
      key: 'servers',
      entry: needed(serverNames, 'Two or three servers that get a replica each'),
      offers: offered(pairsOf(servers.slice(0, PAIRED_SERVERS_MAX))),
    },
    {
      key: 'witness',
      entry: optionalEntry(name, 'Server that votes and has no replica. Two replicas without a witness stop if either server fails'),
      offers: offered(servers),
    },
    {
      key: 'namespace',
      entry: optionalEntry(name, 'Namespace of the servers'),
      offers: offered(namespaces),
      ...(namespaces.length === 1 ? { text: namespaces[0] ?? '' } : {}),
    },
    { key: 'pool', entry: optionalEntry(name, 'Pool of the replicas. Default: each server chooses'), isMore: true },
  ];
}

/** `a,b`, `a,c`, `b,c` */
function pairsOf(servers: readonly string[]): string[] {
  return servers.flatMap((one, index) => servers.slice(index + 1).map((other) => `${one},${other}`));
}

const serverNames: ValueType<readonly string[]> = {
  ...name,
  allowed: 'names of two or three servers, with commas',
  parse: (text) => text.split(',').map((one) => name.parse(one.trim())),
};

function optionalEntry(type: KeyEntry<unknown>['type'], help: string): KeyEntry<unknown> {
  return { type, isRequired: false, default: null, help };
}

function namedForm(
  state: State,
  purpose: Extract<FormPurpose, { kind: NamedSection }>,
  title: string,
  itsName: string,
  addresses: readonly Offer[],
): Form {
  const place = sectionRefOf(purpose);
  const section = place === null ? null : sectionAt(state.document, place);
  const help = `${schema[purpose.kind].help}`;
  const nameSpec: FieldSpec = {
    key: 'name',
    entry: { type: name, isRequired: true, default: null, help: `Name of the section. ${help}` },
    text: itsName,
  };
  return formOf(title, [nameSpec, ...specsOf(schema[purpose.kind].keys, section, FIRST_KEYS[purpose.kind], addresses)]);
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
export function sectionAt(document: IniDocument, place: SectionRef): IniSection | null {
  let namespace: string | null = null;
  for (const section of document.sections) {
    if (section.type === 'namespace') namespace = section.name;
    const isHome = !('namespace' in place) || place.namespace === namespace;
    const isNamed = place.type === 'defaults' || place.name === section.name;
    if (section.type === place.type && isHome && isNamed) return section;
  }
  return null;
}

/** Returns the first unused interface name in the sequence `if0`, `if1`, `if2`, and so on. */
function freeName(state: State, prefix: string): string {
  const taken = new Set(configOf(state).interfaces.map((each) => each.name));
  let number = 0;
  while (taken.has(`${prefix}${number}`)) number += 1;
  return `${prefix}${number}`;
}

/** Suggests addresses of this machine that are not yet in the file. */
export function addressOffers(state: State): readonly Offer[] {
  const taken = new Set(configOf(state).interfaces.map((each) => each.address));
  return state.machine
    .filter((each) => !taken.has(each.address) && !each.isLoopback)
    .map((each) => ({ text: each.address, detail: machineDetails(each) }));
}

/** `eth0, /24, 1000 Mbit/s`. */
export function machineDetails({ device, prefixLength, linkMbps, hasCarrier }: MachineInterface): string {
  const facts = [device, `/${prefixLength}`];
  if (linkMbps !== null) facts.push(`${linkMbps} Mbit/s`);
  if (!hasCarrier) facts.push('no carrier');
  return facts.join(', ');
}
