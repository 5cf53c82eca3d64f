// Makes the rssrvcfg of one server say what the file of the namespace says. Pure. Invariants: what the file does not name stays, unless the
// caller prunes; a client is never left without a key that it is known to have: its old key ends only while a session proves the other one;
// an edit that is made again changes nothing; no sentence contains a key.

import { isDeepStrictEqual } from 'node:util';
import { RsError } from '@rsio/base/lib/errors';
import type { NamespaceFile, WantedClient, WantedPeer } from './namespace-file.ts';
import { rightsText } from './namespace-file.ts';
import { Findings } from './reader/findings.ts';
import type { IniDocument } from './reader/ini-document.ts';
import { removeEntry, setValue } from './reader/ini-edit.ts';
import { readRightsLine } from './reader/storage-sections.ts';
import {
  addClient,
  addPeer,
  addSecondKey,
  changeClientLimits,
  changeRights,
  changeServerSection,
  dropFirstKey,
  removeClient,
  removeServerSection,
  setRights,
} from './rssrvcfg-edit.ts';
import { clientKeys } from './schema/client-keys.ts';
import { SCHEMA } from './schema/schema.ts';
import type { ClientRights, RssrvConfig } from './schema/types.ts';
import { printValue } from './schema/value-types.ts';

/** A client that has a key beside the one of the file. */
export interface SecondKey {
  readonly client: string;
  /** Which of its two keys its session uses here; null: it has no session. */
  readonly sessionKey: 'old' | 'new' | null;
  /** The file has the newer one of the two keys. */
  readonly isNewer: boolean;
  /** The file has the newer key, and the session uses it, so that the older one can end. */
  readonly isProven: boolean;
}

export interface NamespaceOrder {
  readonly wanted: NamespaceFile;
  /** The order is about the named clients only, and what it does not say of them stays. */
  readonly isPart: boolean;
  /** `new`: the named clients must not be there with another key. `known`: they must be there. */
  readonly clients: 'any' | 'new' | 'known';
  /** Clients and peers that the file does not name are removed. */
  readonly prune: boolean;
  /** Clients that have the key of the file at all servers: their other key may end. */
  readonly endKeys: readonly string[];
}

export interface NamespaceEdit {
  readonly document: IniDocument;
  /** One sentence for each change. */
  readonly changes: readonly string[];
  /** Clients that are removed. */
  readonly removed: readonly string[];
  readonly secondKeys: readonly SecondKey[];
  /** What this server has beyond the file, such as `client big-7`. */
  readonly extra: readonly string[];
}

/** An edit in progress. */
interface Draft {
  document: IniDocument;
  readonly changes: string[];
  readonly removed: string[];
  readonly secondKeys: SecondKey[];
  /** The keys and rights of the clients before the edit. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
  readonly rights: ReadonlyMap<string, string>;
}

/**
 * `config`: what the document says. `sessionKey` returns which of two keys the session of a client uses. Throws E_CONFIG or
 * E_UNKNOWN_CLIENT, never with a key, if the server cannot have what the file says.
 */
export function namespaceEdit(
  document: IniDocument,
  config: RssrvConfig,
  order: NamespaceOrder,
  sessionKey: (client: string) => SecondKey['sessionKey'],
): NamespaceEdit {
  const { wanted, isPart, prune, endKeys } = order;
  const draft: Draft = { document, changes: [], removed: [], secondKeys: [], keys: keysByName(config), rights: rightsByName(document) };
  for (const [key, value] of wanted.settings) setSetting(draft, config, key, value);
  for (const client of wanted.clients) {
    checkThere(client, keysIn(draft, client.name), order, config.server.name);
    if (client.isAbsent) removeOne(draft, client.name);
    else if (keysIn(draft, client.name).length === 0) addOne(draft, config, client);
    else changeOne(draft, config, client, isPart);
  }
  const ended = new Set(endKeys);
  for (const { name, key, isAbsent } of wanted.clients)
    if (key !== null && !isAbsent) lookAtKeys(draft, name, key, ended.has(name), sessionKey(name));
  const peers = wanted.peers.filter(({ server }) => server === config.server.name);
  for (const peer of peers) setPeer(draft, peer);
  const extraClients = isPart ? [] : namesBeyond(config.clients, wanted.clients);
  const extraPeers = isPart ? [] : namesBeyond(config.peers, peers);
  if (prune) {
    for (const name of extraClients) removeOne(draft, name);
    for (const name of extraPeers) removePeer(draft, name);
  }
  const extra = prune ? [] : [...extraClients.map((name) => `client ${name}`), ...extraPeers.map((name) => `peer ${name}`)];
  const { document: edited, changes, removed, secondKeys } = draft;
  return { document: edited, changes, removed, secondKeys, extra };
}

function namesBeyond(present: readonly { readonly name: string }[], wanted: readonly { readonly name: string }[]): string[] {
  const names = new Set(wanted.map(({ name }) => name));
  return present.map(({ name }) => name).filter((name) => !names.has(name));
}

function keysByName({ clients }: RssrvConfig): ReadonlyMap<string, readonly string[]> {
  return new Map(clients.map((client) => [client.name, clientKeys(client)]));
}

function keysIn({ keys }: Draft, name: string): readonly string[] {
  return keys.get(name) ?? [];
}

/** Throws E_EXISTS or E_UNKNOWN_CLIENT if the order is not meant for a client with these keys. */
function checkThere({ name, key }: WantedClient, keys: readonly string[], { clients }: NamespaceOrder, server: string): void {
  if (clients === 'new' && keys.length > 0 && (key === null || !keys.includes(key)))
    throw new RsError(
      'E_EXISTS',
      `Client ${name} exists on server ${server}: choose another name, or rsconfig client rekey ${name} changes its key`,
      {
        name,
      },
    );
  if (clients === 'known' && keys.length === 0)
    throw new RsError('E_UNKNOWN_CLIENT', `No client ${name} on server ${server}: rsconfig client add ${name} adds it`, { name });
}

type SettingKey = keyof typeof SCHEMA.rssrvcfg.namespace.keys;

function setSetting(draft: Draft, { namespace }: RssrvConfig, key: string, value: string): void {
  const entry = SCHEMA.rssrvcfg.namespace.keys[key as SettingKey];
  const has = (namespace as unknown as Readonly<Record<string, unknown>>)[key];
  if (isDeepStrictEqual(entry.type.parse(value), has)) return;
  draft.document = changeServerSection(draft.document, 'namespace', null, [[key, value]]);
  const ends = key === 'tls' && value === 'require' ? ': plain paths end at once' : '';
  draft.changes.push(entry.type.isSecret ? `${key} is another key` : `${key}: ${shown(entry, has)} -> ${value}${ends}`);
}

function shown({ type }: (typeof SCHEMA.rssrvcfg.namespace.keys)[SettingKey], value: unknown): string {
  const words = type as { readonly words?: readonly string[] };
  if (typeof value === 'boolean' && words.words !== undefined) return value ? 'yes' : 'no';
  return printValue(type as Parameters<typeof printValue>[0], value);
}

function removeOne(draft: Draft, name: string): void {
  if (keysIn(draft, name).length === 0) return;
  draft.document = removeClient(draft.document, name);
  draft.changes.push(`client ${name} is removed`);
  draft.removed.push(name);
}

function addOne(draft: Draft, config: RssrvConfig, client: WantedClient): void {
  const { name, key } = client;
  if (key === null)
    throw new RsError('E_UNKNOWN_CLIENT', `No client ${name} on server ${config.server.name}: rsconfig client add ${name} adds it`, {
      name,
    });
  const { rights, because } = rightsHere(client, config);
  // A line of a client that was removed by hand may be left in [rights].
  draft.document = setRights(addClient(draft.document, name, key), name, lineOf(rights));
  draft.changes.push(`client ${name} is added, with the right ${rights}${because}`);
}

function changeOne(draft: Draft, config: RssrvConfig, client: WantedClient, isPart: boolean): void {
  const { name, key } = client;
  const keys = keysIn(draft, name);
  if (key !== null && !keys.includes(key)) {
    if (keys.length > 1)
      throw new RsError(
        'E_CONFIG',
        `Client ${name} has two keys on server ${config.server.name}, and the file has a third: end that change first ` +
          `(rsadm client rekey ${name} --finish or --cancel there)`,
        { name },
      );
    draft.document = addSecondKey(draft.document, name, key);
    draft.changes.push(`client ${name} has a second key: both are valid until it uses the new one`);
  }
  const before = draft.rights.get(name) ?? 'use';
  if (!isPart) {
    const { rights, because } = rightsHere(client, config);
    if (isSame(parsed(name, before), parsed(name, rights))) return;
    draft.document = setRights(draft.document, name, lineOf(rights));
    draft.changes.push(`client ${name}: the right ${before} -> ${rights}${because}`);
    return;
  }
  const here = client.rights === null ? null : rightsHere({ ...client, limits: [] }, config);
  if (here !== null) draft.document = changeRights(draft.document, name, here.rights);
  if (client.limits.length > 0) draft.document = changeClientLimits(draft.document, name, client.limits);
  const after = rightsByName(draft.document).get(name) ?? 'use';
  if (!isSame(parsed(name, before), parsed(name, after)))
    draft.changes.push(`client ${name}: the right ${before} -> ${after}${here?.because ?? ''}`);
}

/**
 * Notes a client with a key beside that of the file, and ends its older key if that may end. A newer key never ends here: the client may have
 * it already, although its session still uses the older one.
 */
function lookAtKeys(draft: Draft, name: string, key: string, mayEnd: boolean, sessionKey: SecondKey['sessionKey']): void {
  const had = keysIn(draft, name);
  const keys = had.length === 1 && !had.includes(key) ? [...had, key] : had;
  if (keys.length < 2) return;
  const isNewer = key === keys[1];
  const isProven = isNewer && sessionKey === 'new' && had.length === 2;
  if (!isProven || !mayEnd) {
    draft.secondKeys.push({ client: name, sessionKey, isNewer, isProven });
    return;
  }
  draft.document = dropFirstKey(draft.document, name);
  draft.changes.push(`client ${name} has one key again: its old key ends`);
}

function setPeer(draft: Draft, { name, entries, isAbsent }: WantedPeer): void {
  const section = draft.document.sections.find((one) => one.type === 'peer' && one.name === name);
  if (isAbsent) {
    if (section !== undefined) removePeer(draft, name);
    return;
  }
  const sorted = (list: readonly (readonly [string, string])[]): string[] => list.map(([key, value]) => `${key} ${value}`).toSorted();
  const has = (section?.contents ?? []).flatMap(({ key, value }) => (key === null ? [] : [[key, value] as const]));
  if (section !== undefined && isDeepStrictEqual(sorted(has), sorted(entries))) return;
  if (section === undefined) draft.document = addPeer(draft.document, name, entries);
  else {
    const index = draft.document.sections.indexOf(section);
    const gone = has.filter(([key]) => !entries.some(([wanted]) => wanted === key));
    for (const [key] of gone) draft.document = removeEntry(draft.document, index, key);
    for (const [key, value] of entries) draft.document = setValue(draft.document, index, key, value);
  }
  draft.changes.push(`peer ${name} ${section === undefined ? 'is added' : 'has other settings'}`);
}

function removePeer(draft: Draft, name: string): void {
  draft.document = removeServerSection(draft.document, 'peer', name);
  draft.changes.push(`peer ${name} is removed: copies from it stop`);
}

/**
 * Returns the words after the client's name, without the pools that this server does not have. A client without a pool has the right `use`:
 * `because` says so, and is empty otherwise.
 */
function rightsHere(client: WantedClient, { pools }: RssrvConfig): { readonly rights: string; readonly because: string } {
  let named: readonly string[] = [];
  const words = rightsText(client).split(/\s+/).slice(1);
  const here = words.flatMap((word) => {
    const [, list] = /^pool=(.+)$/.exec(word) ?? [];
    if (list === undefined) return [word];
    named = list.split(',');
    const present = named.filter((name) => pools.some((pool) => pool.name === name));
    return present.length === 0 ? ['pool='] : [`pool=${present.join(',')}`];
  });
  if (!here.includes('pool=')) return { rights: here.join(' '), because: '' };
  const limits = here.filter((word) => /^(?:iops|bandwidth|burst)=/.test(word));
  const none = named.length === 1 ? `no pool ${named[0]}` : `none of the pools ${named.join(', ')}`;
  return { rights: ['use', ...limits].join(' '), because: `, because this server has ${none}` };
}

/** The right `use` without limits needs no line. */
function lineOf(rights: string): string | null {
  return rights === 'use' ? null : rights;
}

/** For each client with a line in [rights] of the document, the words after its name. */
function rightsByName({ sections }: IniDocument): ReadonlyMap<string, string> {
  const lines = sections.flatMap(({ type, contents }) => (type === 'rights' ? contents : []));
  const words = lines.map(({ text }) => text.trim().split(/\s+/)).filter((line) => line.length > 1);
  return new Map(words.map(([name = '', ...rest]) => [name, rest.join(' ')]));
}

function parsed(name: string, rights: string): ClientRights | null {
  return readRightsLine({ text: `${name} ${rights}`, line: 0 }, new Findings(''));
}

function isSame(one: ClientRights | null, other: ClientRights | null): boolean {
  const setOf = (rights: ClientRights | null): unknown => rights && { ...rights, pools: rights.pools?.toSorted() ?? null };
  return isDeepStrictEqual(setOf(one), setOf(other));
}
