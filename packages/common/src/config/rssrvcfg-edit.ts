// Edits the server's configuration file for rsadm: pools, clients and their rights. Each edit changes only the lines that it must change,
// and keeps comments and order (ini-edit.ts). config-file.ts saves the result and refuses an edit that adds a problem. Pure. Invariant: a
// client that is removed keeps no line in [clients] or [rights].

import { RsError } from '../lib/errors.ts';
import { isName, NAME_ALLOWED, quoteText } from '../lib/units.ts';
import type { IniDocument } from './ini/ini-document.ts';
import { appendLine, appendSection, removeLines } from './ini/ini-edit.ts';
import { isKeyText, keyText } from './schema/value-types.ts';

/** Column of the `=` in a new section. */
const KEY_COLUMNS = 12;

/** Adds a section [pool] below the other pools, volumes and interfaces. Throws E_CONFIG if the pool exists. */
export function addPool(document: IniDocument, name: string, entries: readonly (readonly [key: string, value: string])[]): IniDocument {
  if (!isName(name)) throw new RsError('E_CONFIG', `Wrong pool name ${quoteText(name)}: allowed is ${NAME_ALLOWED}`);
  const same = document.sections.find((section) => section.type === 'pool' && section.name === name);
  if (same !== undefined) throw new RsError('E_CONFIG', `Pool ${name} exists, in line ${same.line}: choose another name`);
  const last = document.sections.findLastIndex(({ type }) => ['pool', 'volume', 'interface'].includes(type));
  return appendSection(document, 'pool', name, entries, { ...(last < 0 ? {} : { after: last }), keyColumns: KEY_COLUMNS });
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

/** Removes a client, its key and its rights. Throws E_CONFIG if there is no such client. */
export function removeClient(document: IniDocument, name: string): IniDocument {
  checkClient(document, name, ['clients', 'rights']);
  const clients = document.sections.findIndex(({ type }) => type === 'clients');
  const without = clients < 0 ? document : removeLines(document, clients, (text) => nameOf(text) === name);
  return setRights(without, name, null);
}

/** Sets what a client may do, such as `manage pool=fast`. Throws E_CONFIG if there is no such client. */
export function changeRights(document: IniDocument, name: string, rights: string): IniDocument {
  checkClient(document, name, ['clients']);
  return setRights(document, name, rights);
}

/** `types`: the sections of which one has a line of the client. */
function checkClient({ sections }: IniDocument, name: string, types: readonly string[]): void {
  const isThere = sections.some(({ type, contents }) => types.includes(type ?? '') && contents.some(({ text }) => nameOf(text) === name));
  if (!isThere) throw new RsError('E_CONFIG', `No client ${quoteText(name)} in [clients]: rsadm client list shows the clients`);
}

/** Sets what a client may do, such as `manage pool=fast`; null removes its line from [rights], so that it has the right `use`. */
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

function nameOf(text: string): string {
  return text.trim().split(/\s+/)[0] ?? '';
}
