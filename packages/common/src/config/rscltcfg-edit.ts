// Contains the edits that rsconfig and crsio make in /etc/rscltcfg. The position and style of new sections follow the manual's sample:
// interfaces above the first namespace, servers below their namespace. An edit throws E_CONFIG if the schema does not allow a name or
// value. The module config-file.ts checks combinations of values before saving.

import { INTERFACES_MAX } from '@rsio/base/lib/limits';
import { APPLICATIONS_MAX, GATES_MAX, NAMESPACES_PER_CLIENT_MAX, PORT_DEFAULT } from './schema/limits.ts';
import { RsError } from '@rsio/base/lib/errors';
import { isName, NAME_ALLOWED, quoteText } from '@rsio/base/lib/units';
import { type IniDocument, type IniSection, parseIni } from './reader/ini-document.ts';
import { appendSection, removeEntry, removeSection, renameSection, setValue } from './reader/ini-edit.ts';
import type { KeyEntry, KeyTable } from './schema/entries.ts';
import { SCHEMA } from './schema/schema.ts';

/** A [server] or [volume] section is identified by its namespace and its own name. */
export type SectionRef =
  | { readonly type: 'defaults' }
  | { readonly type: 'interface' | 'namespace' | 'gate' | 'application'; readonly name: string }
  | { readonly type: 'server' | 'volume'; readonly namespace: string; readonly name: string };

type NamedSectionRef = Exclude<SectionRef, { readonly type: 'defaults' }>;

/** Keys and values as they are written in the file. */
export type KeyValues = Readonly<Record<string, string>>;
/** Keys and their new values; the value null removes the key. */
export type KeyChanges = Readonly<Record<string, string | null>>;

/** Zero-based column of the `=` in the entries of a new section. */
const KEY_COLUMNS = 14;

/** Returns a new document that contains only [defaults], the first section of the manual's sample. */
export function newRscltcfg(): IniDocument {
  const entries = [
    ['protocol', 'tcp'],
    ['port', String(PORT_DEFAULT)],
  ] as const;
  return appendSection(parseIni(''), 'defaults', null, entries, { keyColumns: KEY_COLUMNS });
}

/**
 * Adds an interface below the last interface. If the file has no interface, adds the new interface below [defaults] or, without [defaults],
 * above all sections.
 */
export function addInterface(document: IniDocument, name: string, keys: KeyValues): IniDocument {
  const { sections } = document;
  checkRoom(sections, 'interface', INTERFACES_MAX);
  const last = sections.findLastIndex(({ type }) => type === 'interface');
  const above = last < 0 ? sections.findIndex(({ type }) => type === 'defaults') : last;
  return addSection(document, { type: 'interface', name }, keys, above);
}

/** Adds a namespace at the end of the file. */
export function addNamespace(document: IniDocument, name: string, keys: KeyValues): IniDocument {
  checkRoom(document.sections, 'namespace', NAMESPACES_PER_CLIENT_MAX);
  return addSection(document, { type: 'namespace', name }, keys, undefined);
}

/** Adds a server below the namespace's last server, or directly below a [namespace] section without servers. */
export function addServer(document: IniDocument, namespace: string, name: string, keys: KeyValues): IniDocument {
  const home = indexOf(document, { type: 'namespace', name: namespace });
  const last = belongings(document, home).findLast((index) => document.sections[index]?.type === 'server');
  return addSection(document, { type: 'server', namespace, name }, keys, last ?? home);
}

/** Adds a gate at the end of the file. */
export function addGate(document: IniDocument, name: string, keys: KeyValues): IniDocument {
  checkRoom(document.sections, 'gate', GATES_MAX);
  return addSection(document, { type: 'gate', name }, keys, undefined);
}

/** Adds an application at the end of the file. */
export function addApplication(document: IniDocument, name: string, keys: KeyValues): IniDocument {
  checkRoom(document.sections, 'application', APPLICATIONS_MAX);
  return addSection(document, { type: 'application', name }, keys, undefined);
}

/** Sets and removes keys in a section. Creates the section [defaults] if a change needs this section. */
export function changeSection(document: IniDocument, place: SectionRef, changes: KeyChanges): IniDocument {
  let changed = document;
  for (const [key, value] of inSchemaOrder(place, changes)) changed = setKey(changed, place, key, value);
  return changed;
}

/** Sets a key, or removes the key if `value` is null. */
export function setKey(document: IniDocument, place: SectionRef, key: string, value: string | null): IniDocument {
  const entry = keyEntry(place, key);
  if (value !== null) checkValue(key, entry, value);
  else if (entry.isRequired) throw new RsError('E_CONFIG', `Key ${key} of ${shown(place)} is required: change it, or remove the section`);
  const isMissing = place.type === 'defaults' && !document.sections.some(({ type }) => type === 'defaults');
  if (isMissing && value === null) return document;
  if (isMissing) return appendSection(document, 'defaults', null, [[key, value ?? '']], { after: -1, keyColumns: KEY_COLUMNS });
  const index = indexOf(document, place);
  return value === null ? removeEntry(document, index, key) : setValue(document, index, key, value);
}

/** Renames a section and changes nothing else. */
export function renameConfigSection(document: IniDocument, place: NamedSectionRef, name: string): IniDocument {
  const index = indexOf(document, place);
  if (name === place.name) return document;
  checkNewName(document, { ...place, name });
  return renameSection(document, index, name);
}

/** Removes the section and its comments. Removing a namespace also removes its [server] and [volume] sections. */
export function removeConfigSection(document: IniDocument, place: NamedSectionRef): IniDocument {
  const index = indexOf(document, place);
  const doomed = place.type === 'namespace' ? [index, ...belongings(document, index)] : [index];
  return doomed.toReversed().reduce(removeSection, document);
}

/** Returns the names of the namespaces that contain the server `server`; null stands for any server. Omits namespaces without a name. */
export function namespacesWith(document: IniDocument, server: string | null): readonly string[] {
  return document.sections.flatMap(({ type, name }, index) => {
    const isMeant = server === null || belongings(document, index).some((each) => isSection(document, each, 'server', server));
    return type === 'namespace' && name !== null && isMeant ? [name] : [];
  });
}

function isSection(document: IniDocument, index: number, type: string, name: string): boolean {
  const section = document.sections[index];
  return section?.type === type && section.name === name;
}

function addSection(document: IniDocument, place: NamedSectionRef, keys: KeyValues, after: number | undefined): IniDocument {
  checkNewName(document, place);
  const entries = inSchemaOrder(place, keys);
  for (const [key, value] of entries) checkValue(key, keyEntry(place, key), value);
  const missing = Object.entries(keysOf(place)).find(([key, { isRequired: required }]) => required && !Object.hasOwn(keys, key));
  if (missing !== undefined) throw new RsError('E_CONFIG', `No ${missing[0]} for ${shown(place)}: it needs ${missing[1].type.allowed}`);
  const where = after === undefined ? {} : { after };
  return appendSection(document, place.type, place.name, entries, { ...where, keyColumns: KEY_COLUMNS });
}

/** Throws E_CONFIG if `place` identifies no section or several sections. */
function indexOf(document: IniDocument, place: SectionRef): number {
  const [index, second] = indexesOf(document, place);
  if (index === undefined) throw new RsError('E_CONFIG', `No section ${shown(place)} in the file: ${presentNames(document, place)}`);
  if (second === undefined) return index;
  const lines = [index, second].map((each) => document.sections[each]?.line).join(' and ');
  throw new RsError('E_CONFIG', `More than one section ${shown(place)}, in lines ${lines}: remove or rename one of them with an editor`);
}

function indexesOf(document: IniDocument, place: SectionRef): number[] {
  if (place.type === 'defaults') return [...document.sections.keys()].filter((index) => document.sections[index]?.type === 'defaults');
  const candidates =
    place.type === 'server' || place.type === 'volume'
      ? belongings(document, indexOf(document, { type: 'namespace', name: place.namespace }))
      : [...document.sections.keys()];
  return candidates.filter((index) => isSection(document, index, place.type, place.name));
}

/** Returns the indexes of the [server] and [volume] sections that belong to the namespace section with index `home`. */
function belongings(document: IniDocument, home: number): number[] {
  const indexes: number[] = [];
  for (let index = home + 1; index < document.sections.length; index++) {
    const type = document.sections[index]?.type;
    if (type === 'namespace') break;
    if (type === 'server' || type === 'volume') indexes.push(index);
  }
  return indexes;
}

function presentNames(document: IniDocument, place: SectionRef): string {
  const names = document.sections.flatMap(({ type, name }) => (type === place.type && name !== null ? [quoteText(name)] : []));
  return names.length === 0 ? `there is no [${place.type}] section` : `there are ${[...new Set(names)].join(', ')}`;
}

function checkNewName(document: IniDocument, place: NamedSectionRef): void {
  if (!isName(place.name))
    throw new RsError('E_CONFIG', `Wrong name ${quoteText(place.name)} for ${place.type}: allowed is ${NAME_ALLOWED}`);
  const line = document.sections[indexesOf(document, place)[0] ?? -1]?.line;
  if (line !== undefined)
    throw new RsError('E_CONFIG', `Section ${shown(place)} exists, in line ${line}: choose another name, or change it`);
}

function checkRoom(sections: readonly IniSection[], type: string, max: number): void {
  const count = sections.filter((section) => section.type === type).length;
  if (count >= max) throw new RsError('E_CONFIG', `No more ${type}: the file has ${count}, allowed are at most ${max}`);
}

function keysOf(place: SectionRef): KeyTable {
  return SCHEMA.rscltcfg[place.type].keys;
}

function keyEntry(place: SectionRef, key: string): KeyEntry<unknown> {
  const keys = keysOf(place);
  const entry = Object.hasOwn(keys, key) ? keys[key] : undefined;
  if (entry === undefined) {
    throw new RsError('E_CONFIG', `No key ${quoteText(key)} in [${place.type}]: allowed are ${Object.keys(keys).join(', ')}`);
  }
  return entry;
}

function checkValue(key: string, { type }: KeyEntry<unknown>, value: string): void {
  try {
    type.parse(value);
  } catch (thrown) {
    if (!(thrown instanceof RsError)) throw thrown;
    throw new RsError('E_CONFIG', `Wrong value${type.isSecret ? '' : ` ${quoteText(value)}`} for ${key}: allowed is ${type.allowed}`);
  }
}

/** Unknown keys come last; the function keyEntry refuses unknown keys later. */
function inSchemaOrder<V>(place: SectionRef, values: Readonly<Record<string, V>>): (readonly [string, V])[] {
  const order = Object.keys(keysOf(place));
  const rank = (key: string): number => (order.includes(key) ? order.indexOf(key) : order.length);
  return Object.entries(values).toSorted(([left], [right]) => rank(left) - rank(right));
}

function shown(place: SectionRef): string {
  return place.type === 'defaults' ? '[defaults]' : `[${place.type} ${quoteText(place.name).slice(1, -1)}]`;
}
