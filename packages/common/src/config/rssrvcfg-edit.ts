// Edits the server's configuration file for rsadm: interfaces, pools, clients and their rights, and keys of single sections. Each edit
// changes only the lines that it must change, and keeps comments and order (ini-edit.ts). config-file.ts saves the result and refuses an
// edit that adds a problem. Pure. Invariant: a client that is removed keeps no line in [clients] or [rights].

import { createHash } from 'node:crypto';
import { RsError } from '@rsio/base/lib/errors';
import { NAMESPACEID_MAX } from '@rsio/base/lib/limits';
import { isName, NAME_ALLOWED, quoteText } from '@rsio/base/lib/units';
import { type IniDocument, parseIni } from './reader/ini-document.ts';
import {
  appendLine,
  appendSection,
  changeLines,
  removeEntry,
  removeLines,
  removeSection,
  renameSection,
  setValue,
} from './reader/ini-edit.ts';
import { isLimitKey, LIMIT_KEYS, limitAllowed, NO_IO_LIMITS, withLimit } from './schema/io-limits.ts';
import type { KeyTable } from './schema/entries.ts';
import { SCHEMA } from './schema/schema.ts';
import { isKeyText, keyText } from './schema/value-types.ts';

/** Column of the `=` in a new section. */
const KEY_COLUMNS = 12;

/** Values of a first configuration file. */
export interface FirstServer {
  readonly name: string;
  readonly namespace: string;
  readonly namespaceid: number;
  readonly serverid: number;
  /** Addresses of the interfaces, which get the names if0, if1 and so on. */
  readonly addresses: readonly string[];
}

/** Returns a first configuration, without pools and clients. A wrong value becomes a problem of the document. */
export function newRssrvcfg({ name, namespace, namespaceid, serverid, addresses }: FirstServer): IniDocument {
  const style = { keyColumns: KEY_COLUMNS };
  const keys = [
    ['namespaceid', String(namespaceid)],
    ['tenants', 'yes'],
  ] as const;
  const head = appendSection(parseIni(''), 'namespace', namespace, keys, style);
  const named = appendSection(head, 'server', name, [['serverid', String(serverid)]], style);
  return addresses.reduce((document, address, index) => appendSection(document, 'interface', `if${index}`, [['address', address]]), named);
}

/** Derives the namespaceid from the name, so that every server gets the same number. The number 0 is never chosen. */
export function namespaceidOf(namespace: string): number {
  return 1 + (createHash('sha256').update(namespace).digest().readUInt32BE(0) % NAMESPACEID_MAX);
}

/** Adds a section [interface] below the other interfaces. Throws E_CONFIG if the interface exists. */
export function addServerInterface(
  document: IniDocument,
  name: string,
  entries: readonly (readonly [key: string, value: string])[],
): IniDocument {
  if (!isName(name)) throw new RsError('E_CONFIG', `Wrong interface name ${quoteText(name)}: allowed is ${NAME_ALLOWED}`);
  const same = document.sections.find((section) => section.type === 'interface' && section.name === name);
  if (same !== undefined) throw new RsError('E_CONFIG', `Interface ${name} exists, in line ${same.line}: choose another name`);
  const last = document.sections.findLastIndex(({ type }) => ['interface', 'server', 'namespace'].includes(type));
  return appendSection(document, 'interface', name, entries, { ...(last < 0 ? {} : { after: last }), keyColumns: KEY_COLUMNS });
}

/**
 * Removes a section with its comments. Throws E_CONFIG if several sections have this name. Throws E_CONFIG, with the names of the existing
 * sections, if no section has this name.
 */
export function removeServerSection(document: IniDocument, type: 'interface' | 'pool' | 'peer', name: string): IniDocument {
  return removeSection(document, indexOf(document, type, name));
}

/** Sets the keys of a section; the value null removes a key. If `name` is null, the section is the only section of this type. */
export function changeServerSection(
  document: IniDocument,
  type: 'namespace' | 'server' | 'pool',
  name: string | null,
  changes: readonly (readonly [key: string, value: string | null])[],
): IniDocument {
  const keys: KeyTable = SCHEMA.rssrvcfg[type].keys;
  return changes.reduce((changed, [key, value]) => {
    if (!Object.hasOwn(keys, key)) {
      throw new RsError('E_CONFIG', `No key ${quoteText(key)} in [${type}]: allowed are ${Object.keys(keys).join(', ')}`);
    }
    const index = indexOf(changed, type, name);
    return value === null ? removeEntry(changed, index, key) : setValue(changed, index, key, value);
  }, document);
}

/** Gives the server another name. At its peers, it stays the client that it was. Throws E_CONFIG if the name is wrong. */
export function renameServer(document: IniDocument, name: string): IniDocument {
  if (!isName(name)) throw new RsError('E_CONFIG', `Wrong server name ${quoteText(name)}: allowed is ${NAME_ALLOWED}`);
  const index = indexOf(document, 'server', null);
  const before = document.sections[index]?.name ?? name;
  const renamed = renameSection(document, index, name);
  return renamed.sections.reduce((changed, { type, contents }, at) => {
    if (type !== 'peer' || contents.some(({ key }) => key === 'nodename')) return changed;
    return setValue(changed, at, 'nodename', before);
  }, renamed);
}

/** Returns the index of the section. Throws E_CONFIG if the section does not exist. */
function indexOf({ sections }: IniDocument, type: string, name: string | null): number {
  const isMeant = (section: IniDocument['sections'][number]): boolean => section.type === type && (name === null || section.name === name);
  const found = [...sections.keys()].filter((index) => isMeant(sections[index]!));
  const [index, second] = found;
  const shown = name === null ? `[${type}]` : `[${type} ${quoteText(name).slice(1, -1)}]`;
  if (index === undefined) {
    const names = sections.flatMap((one) => (one.type === type && one.name !== null ? [one.name] : []));
    const present = names.length === 0 ? `there is no [${type}] section` : `there are ${names.join(', ')}`;
    throw new RsError('E_CONFIG', `No section ${shown} in the file: ${present}`);
  }
  if (second === undefined) return index;
  const lines = [index, second].map((each) => sections[each]?.line).join(' and ');
  throw new RsError('E_CONFIG', `More than one section ${shown}, in lines ${lines}: remove one of them with an editor`);
}

/** Adds a section [pool] below the other pools, volumes and interfaces. Throws E_CONFIG if the pool exists. */
export function addPool(document: IniDocument, name: string, entries: readonly (readonly [key: string, value: string])[]): IniDocument {
  if (!isName(name)) throw new RsError('E_CONFIG', `Wrong pool name ${quoteText(name)}: allowed is ${NAME_ALLOWED}`);
  const same = document.sections.find((section) => section.type === 'pool' && section.name === name);
  if (same !== undefined)
    throw new RsError(
      'E_CONFIG',
      `Pool ${name} exists, in line ${same.line}: choose another name, or give that pool up first (rsadm pool remove ${name})`,
    );
  const last = document.sections.findLastIndex(({ type }) => ['pool', 'volume', 'interface'].includes(type));
  return appendSection(document, 'pool', name, entries, { ...(last < 0 ? {} : { after: last }), keyColumns: KEY_COLUMNS });
}

/** Adds a section [peer] below the pools. Throws E_CONFIG, never with a key, if the peer exists or a key is wrong. */
export function addPeer(document: IniDocument, name: string, entries: readonly (readonly [key: string, value: string])[]): IniDocument {
  if (!isName(name)) throw new RsError('E_CONFIG', `Wrong peer name ${quoteText(name)}: allowed is ${NAME_ALLOWED}`);
  const same = document.sections.find((section) => section.type === 'peer' && section.name === name);
  if (same !== undefined)
    throw new RsError('E_CONFIG', `Peer ${name} exists, in line ${same.line}: remove it first (rsadm peer remove ${name})`);
  for (const [key, value] of entries)
    if (key.endsWith('key') && !isKeyText(value))
      throw new RsError('E_CONFIG', `Wrong ${key} of peer ${name}: allowed is ${keyText.allowed}`);
  const last = document.sections.findLastIndex(({ type }) => ['peer', 'pool', 'volume', 'interface'].includes(type));
  return appendSection(document, 'peer', name, entries, { ...(last < 0 ? {} : { after: last }), keyColumns: KEY_COLUMNS });
}

/** Adds a client with its key. Throws E_CONFIG if the client exists. Messages never show the key. */
export function addClient(document: IniDocument, name: string, key: string): IniDocument {
  if (!isName(name)) throw new RsError('E_CONFIG', `Wrong client name ${quoteText(name)}: allowed is ${NAME_ALLOWED}`);
  if (!isKeyText(key)) throw new RsError('E_CONFIG', `Wrong key of client ${name}: allowed is ${keyText.allowed}`);
  const { whole, index } = withSection(document, 'clients');
  const same = whole.sections[index]?.contents.find(({ text }) => nameOf(text) === name);
  if (same !== undefined)
    throw new RsError('E_CONFIG', `Client ${name} exists, in line ${same.line}: choose another name, or remove it first`);
  return appendLine(whole, index, `${name} ${key}`);
}

/**
 * Adds a second key to a client, after its first key. A key that the client has already, and that no newer one replaces, changes nothing.
 * Throws E_CONFIG, never with a key, if the client is unknown or has two other keys.
 */
export function addSecondKey(document: IniDocument, name: string, key: string): IniDocument {
  if (!isKeyText(key)) throw new RsError('E_CONFIG', `Wrong key of client ${name}: allowed is ${keyText.allowed}`);
  return changeKeys(document, name, (line, keys) => {
    if (keys.at(-1) === key) return line;
    if (keys.includes(key))
      throw new RsError(
        'E_CONFIG',
        `This is the old key of client ${name}: rsadm client rekey ${name} --cancel keeps it, and drops the new one`,
      );
    if (keys.length > 1)
      throw new RsError(
        'E_CONFIG',
        `Client ${name} has two keys already: rsadm client rekey ${name} --finish drops the old one, and --cancel the new one`,
      );
    return `${line} ${key}`;
  });
}

/** Removes the first, old key of a client with two keys. Throws E_CONFIG if the client is unknown or has one key. */
export function dropFirstKey(document: IniDocument, name: string): IniDocument {
  return dropKey(document, name, (line) => line.replace(/^(\S+\s+)\S+\s+/, '$1'));
}

/** Removes the second, new key of a client with two keys. Throws E_CONFIG if the client is unknown or has one key. */
export function dropSecondKey(document: IniDocument, name: string): IniDocument {
  return dropKey(document, name, (line) => line.replace(/\s+\S+$/, ''));
}

function dropKey(document: IniDocument, name: string, without: (line: string) => string): IniDocument {
  return changeKeys(document, name, (line, keys) => {
    if (keys.length === 2) return without(line);
    throw new RsError('E_CONFIG', `Client ${name} has one key: rsadm client rekey ${name} gives it another one first`);
  });
}

/** `change` receives the client's line and keys, and returns the new line. */
function changeKeys(document: IniDocument, name: string, change: (line: string, keys: readonly string[]) => string): IniDocument {
  checkClient(document, name, ['clients']);
  const index = document.sections.findIndex(({ type }) => type === 'clients');
  return changeLines(document, index, (line) => (nameOf(line) === name ? change(line, line.split(/\s+/).slice(1)) : line));
}

/** Removes a client, its key and its rights. Throws E_CONFIG if there is no such client. */
export function removeClient(document: IniDocument, name: string): IniDocument {
  checkClient(document, name, ['clients', 'rights']);
  const clients = document.sections.findIndex(({ type }) => type === 'clients');
  const without = clients < 0 ? document : removeLines(document, clients, (text) => nameOf(text) === name);
  return setRights(without, name, null);
}

/**
 * Gives a client another name, in each place of the file that names clients. Throws E_CONFIG if the client is unknown, or the name is wrong or
 * taken.
 */
export function renameClient(document: IniDocument, name: string, to: string): IniDocument {
  checkClient(document, name, ['clients']);
  if (!isName(to)) throw new RsError('E_CONFIG', `Wrong client name ${quoteText(to)}: allowed is ${NAME_ALLOWED}`);
  return [...document.sections.entries()].reduce((changed, [index, { type, contents }]) => {
    if (type === 'clients' || type === 'rights') {
      const same = contents.find(({ text }) => nameOf(text) === to);
      if (same !== undefined)
        throw new RsError('E_CONFIG', `Client ${to} exists, in line ${same.line}: choose another name, or remove it first`);
      return changeLines(changed, index, (line) => (nameOf(line) === name ? `${to}${line.slice(name.length)}` : line));
    }
    if (type !== 'volume') return changed;
    return changeLines(changed, index, (line) => {
      const [, head, names] = /^((?:clients|take-over)\s*=)(.*)$/.exec(line) ?? [];
      return head === undefined || names === undefined ? line : head + names.replaceAll(/[^\s,]+/g, (one) => (one === name ? to : one));
    });
  }, document);
}

/** Sets the role of a client, such as `manage pool=fast`, and keeps its I/O limits. Throws E_CONFIG if the client is unknown. */
export function changeRights(document: IniDocument, name: string, rights: string): IniDocument {
  checkClient(document, name, ['clients']);
  const given = rights.split(/\s+/).map(keyOf);
  const limits = rightsLine(document, name)
    .slice(1)
    .filter((word) => isLimitKey(keyOf(word)) && !given.includes(keyOf(word)));
  return setRights(document, name, [rights, ...limits].join(' '));
}

/**
 * Changes I/O limits of a client, such as `iops=500`; the value `off` removes a limit. Throws E_CONFIG if the client is unknown or a limit
 * is wrong.
 */
export function changeClientLimits(
  document: IniDocument,
  name: string,
  changes: readonly (readonly [key: string, value: string])[],
): IniDocument {
  checkClient(document, name, ['clients']);
  const [role = 'use', ...settings] = rightsLine(document, name);
  const kept = settings.filter((setting) => !changes.some(([key]) => setting.startsWith(`${key}=`)));
  const added = changes.flatMap(([key, value]) => {
    if (!isLimitKey(key)) throw new RsError('E_CONFIG', `No setting ${quoteText(key)} of a client: allowed are ${LIMIT_KEYS.join(', ')}`);
    try {
      withLimit(NO_IO_LIMITS, key, value);
    } catch {
      throw new RsError('E_CONFIG', `Wrong ${key} ${quoteText(value)} of client ${name}: allowed is ${limitAllowed(key)}`);
    }
    return value === 'off' ? [] : [`${key}=${value}`];
  });
  const rights = [role, ...kept, ...added].join(' ');
  return setRights(document, name, rights === 'use' ? null : rights);
}

/** Throws E_CONFIG unless a section of one of these types has a line for the client. */
/** Tells whether a section of one of these types has a line of the client. */
export function hasClient({ sections }: IniDocument, name: string, types: readonly string[] = ['clients']): boolean {
  return sections.some(({ type, contents }) => types.includes(type ?? '') && contents.some(({ text }) => nameOf(text) === name));
}

function checkClient(document: IniDocument, name: string, types: readonly string[]): void {
  const isThere = hasClient(document, name, types);
  if (!isThere) throw new RsError('E_CONFIG', `No client ${quoteText(name)} in [clients]: rsadm client list shows the clients`);
}

/** Sets the client's line in [rights], such as `manage pool=fast`; null removes the line, and the client then has the role `use`. */
export function setRights(document: IniDocument, name: string, rights: string | null): IniDocument {
  const present = document.sections.findIndex(({ type }) => type === 'rights');
  const without = present < 0 ? document : removeLines(document, present, (text) => nameOf(text) === name);
  if (rights === null) return without;
  const { whole, index } = withSection(without, 'rights');
  if (/[\r\n]/.test(rights)) throw new RsError('E_CONFIG', `Wrong rights ${quoteText(rights)} of client ${name}: give them in one line`);
  return appendLine(whole, index, `${name} ${rights}`);
}

/** Returns the document with a section of this type, and the index of that section. */
function withSection(document: IniDocument, type: string): { readonly whole: IniDocument; readonly index: number } {
  const isPresent = document.sections.some((section) => section.type === type);
  const whole = isPresent ? document : appendSection(document, type, null, []);
  return { whole, index: whole.sections.findIndex((section) => section.type === type) };
}

/** Returns the words after the client's name in the client's line of [rights]. Returns no words if the client has no line. */
function rightsLine({ sections }: IniDocument, name: string): string[] {
  const lines = sections.flatMap(({ type, contents }) => (type === 'rights' ? contents : []));
  const line = lines.find(({ text }) => nameOf(text) === name);
  return line === undefined ? [] : line.text.trim().split(/\s+/).slice(1);
}

function keyOf(word: string): string {
  return word.replace(/=.*$/s, '');
}

function nameOf(text: string): string {
  return text.trim().split(/\s+/)[0] ?? '';
}
