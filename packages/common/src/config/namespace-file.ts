// Reads the file of a namespace: what all its servers have in common, such as clients with keys and rights. Pure, except that the caller
// passes a function that reads key files. Invariants: no message contains a key; two texts that say the same have one canonical text, and
// so one hash.

import { scrypt, scryptSync } from 'node:crypto';
import { quoteText } from '@rsio/base/lib/units';
import { type ConfigProblem, Findings, Uniques } from './reader/findings.ts';
import { type IniContent, type IniDocument, type IniSection, parseIni } from './reader/ini-document.ts';
import { changeLines } from './reader/ini-edit.ts';
import { SectionReader, headerOf } from './reader/section-reader.ts';
import { knownSections } from './reader/sections.ts';
import { readRightsLine } from './reader/storage-sections.ts';
import { LIMIT_KEYS } from './schema/io-limits.ts';
import { CLIENTS_MAX } from './schema/limits.ts';
import { KEY_FILES, NAMESPACE_SECTIONS } from './schema/namespace-sections.ts';
import { PEER_SECTION } from './schema/peer-section.ts';
import type { ConfigWarning } from './schema/types.ts';

type Entry = readonly [key: string, value: string];
type Keys = typeof NAMESPACE_SECTIONS;
type Reader<T extends keyof Keys> = SectionReader<Keys[T]['keys']>;

export interface WantedClient {
  readonly name: string;
  /** Null: the file does not say. */
  readonly key: string | null;
  /** Right with pool= and limit=, such as `manage pool=fast`; null: the file does not say. */
  readonly rights: string | null;
  /** I/O limits that the file sets, such as ['iops', '500']. */
  readonly limits: readonly Entry[];
  readonly isAbsent: boolean;
}

export interface WantedPeer {
  readonly name: string;
  /** Name of the server that connects to the peer. */
  readonly server: string;
  /** The section [peer] of this server. */
  readonly entries: readonly Entry[];
  readonly isAbsent: boolean;
}

export interface NamespaceFile {
  readonly namespaceid: number;
  /** Keys of [namespace] that the file sets. */
  readonly settings: readonly Entry[];
  readonly clients: readonly WantedClient[];
  readonly peers: readonly WantedPeer[];
}

export interface NamespaceFindings {
  /** Null if the text has a problem. */
  readonly wanted: NamespaceFile | null;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];
}

/**
 * Reads a text whose keys stand in it (`withKeys`). `isPart`: the text is about single clients, and need not say everything about them.
 * Never throws. `file` is used only in messages.
 */
export function readNamespaceFile(text: string, file: string, isPart = false): NamespaceFindings {
  const findings = new Findings(file);
  const sections = knownSections(parseIni(text), NAMESPACE_SECTIONS, findings);
  const [namespace] = readersOf(sections, 'namespace', findings);
  const groups = readGroups(readersOf(sections, 'group', findings), findings);
  const clients = readClients(readersOf(sections, 'client', findings), groups, isPart, findings);
  const peers = readPeers(readersOf(sections, 'peer', findings), findings);
  for (const section of sections)
    for (const { key, line } of section.contents)
      if (key !== null && Object.hasOwn(KEY_FILES, key))
        findings.problem(line, `${key} in ${headerOf(section)} was not read: rsadm apply and rsconfig apply read the files of keys`);
  const { problems, warnings } = findings;
  const namespaceid = namespace?.value('namespaceid') ?? null;
  if (problems.length > 0 || namespace === undefined || namespaceid === null) return { wanted: null, problems, warnings };
  const settings = (['namespacekey', 'explore', 'tls', 'tenants'] as const).flatMap((key) => entryOf(namespace.section, key));
  return { wanted: { namespaceid, settings, clients, peers }, problems, warnings };
}

/** Returns the document with the key of each key file in place of the file's name. `read` returns the key in a file, or throws. */
export function withKeys(document: IniDocument, read: (file: string) => string): IniDocument {
  const isFile = ({ key }: IniContent): boolean => key !== null && Object.hasOwn(KEY_FILES, key);
  return document.sections.reduce((changed, { contents }, index) => {
    const files = contents.filter(isFile);
    return files.reduce((now, { key: fileKey, value, text }) => {
      const key = KEY_FILES[fileKey as keyof typeof KEY_FILES];
      // A section that names the key twice keeps both lines, and the reader names them.
      if (contents.some((other) => other.key === key) || files.filter((other) => other.key === fileKey).length > 1) return now;
      const entry = `${key} = ${read(value)}`;
      return changeLines(now, index, (line) => (line === text ? entry : line));
    }, changed);
  }, document);
}

/** Returns the text without comments, with its sections and keys in one order. */
export function canonicalText({ sections }: IniDocument): string {
  const texts = sections.map((section) => {
    const lines = section.contents.map(({ key, value, text }) => (key === null ? text : `${key} = ${value}`));
    return [headerOf(section), ...lines.toSorted()].join('\n');
  });
  return `${texts.toSorted().join('\n')}\n`;
}

/** Cost of the hash: a tenth of a second, so that nobody who sees the hash finds a weak key in the text by trying. */
const HASH_COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const HASH_BYTES = 8;
const HASH_SALT = 'rsio-namespace';

/** Returns the hash that lists show: 16 hexadecimal digits. */
export function hashOf(canonical: string): string {
  return scryptSync(canonical, HASH_SALT, HASH_BYTES, HASH_COST).toString('hex');
}

/** Like `hashOf`, for a program that must not stand still meanwhile. */
export function hashLater(canonical: string): Promise<string> {
  return new Promise((resolve, reject) => {
    scrypt(canonical, HASH_SALT, HASH_BYTES, HASH_COST, (error, bytes) =>
      error === null ? resolve(bytes.toString('hex')) : reject(error),
    );
  });
}

function readersOf<T extends keyof Keys>(sections: readonly IniSection[], type: T, findings: Findings): readonly Reader<T>[] {
  const keys: Keys[T]['keys'] = NAMESPACE_SECTIONS[type].keys;
  return sections
    .filter((section) => section.type === type)
    .map((section) => new SectionReader(section, keys, NAMESPACE_SECTIONS, findings));
}

function entryOf({ contents }: IniSection, key: string): Entry[] {
  const entry = contents.find((content) => content.key === key);
  return entry === undefined ? [] : [[key, entry.value]];
}

type Group = Pick<WantedClient, 'rights' | 'limits'>;

function limitsOf({ section }: { readonly section: IniSection }): readonly Entry[] {
  return LIMIT_KEYS.flatMap((key) => entryOf(section, key));
}

/** A limit has one place, so that `off` in its key removes it. */
function checkNoLimits({ section }: { readonly section: IniSection }, line: number, rights: string | null, findings: Findings): void {
  const words = (rights ?? '').split(/\s+/);
  const limit = LIMIT_KEYS.find((key) => words.some((word) => word.startsWith(`${key}=`)));
  if (limit !== undefined)
    findings.problem(line, `rights in ${headerOf(section)} has ${limit}: write it as a key of its own, "${limit} = ..."`);
}

function readGroups(readers: readonly Reader<'group'>[], findings: Findings): ReadonlyMap<string, Group> {
  const uniques = new Uniques(findings);
  for (const reader of readers) {
    const { name, line } = reader;
    uniques.claim(name, line, `group ${quoteText(name)}`, 'give each group one section');
    const rights = reader.value('rights');
    checkNoLimits(reader, reader.lineOf('rights'), rights, findings);
    if (rights !== null && reader.section.name !== null)
      readRightsLine({ text: `${name} ${rights}`, line: reader.lineOf('rights') }, findings);
  }
  return new Map(readers.map((reader) => [reader.name, { rights: reader.value('rights'), limits: limitsOf(reader) }]));
}

function readClients(
  readers: readonly Reader<'client'>[],
  groups: ReadonlyMap<string, Group>,
  isPart: boolean,
  findings: Findings,
): readonly WantedClient[] {
  const beyond = readers[CLIENTS_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${readers.length} clients: allowed are at most ${CLIENTS_MAX}`);
  const uniques = new Uniques(findings);
  const namesOfKeys = new Map<string, string>();
  return readers.map((reader): WantedClient => {
    const { name, line } = reader;
    uniques.claim(name, line, `client ${quoteText(name)}`, 'give each client one section');
    const key = reader.value('key');
    const isAbsent = reader.value('state') === 'absent';
    if (key === null && !isAbsent && !isPart && !reader.isSet('key') && !reader.isSet('key-file'))
      findings.problem(line, `Client ${quoteText(name)} has no key: add "key-file = FILE" or "key = KEY", or "state = absent"`);
    findings.checkLength(reader.lineOf('key'), `key of client ${name}`, key);
    const other = key === null ? undefined : namesOfKeys.get(key);
    if (other !== undefined) findings.warn(line, `Clients ${other} and ${name} have the same key: each can impersonate the other`);
    if (key !== null) namesOfKeys.set(key, name);
    const group = groupOf(reader, groups, findings);
    const rights = reader.value('rights') ?? group?.rights ?? null;
    checkNoLimits(reader, reader.lineOf('rights'), reader.value('rights'), findings);
    const own = limitsOf(reader);
    const limits = [...own, ...(group?.limits ?? []).filter(([limit]) => !own.some(([given]) => given === limit))];
    const wanted = { name, key, rights, limits, isAbsent };
    if (reader.section.name !== null) readRightsLine({ text: rightsText(wanted), line: reader.lineOf('rights') }, findings);
    return wanted;
  });
}

function groupOf(reader: Reader<'client'>, groups: ReadonlyMap<string, Group>, findings: Findings): Group | undefined {
  const name = reader.value('group');
  if (name === null) return undefined;
  const group = groups.get(name);
  if (group === undefined)
    findings.problem(
      reader.lineOf('group'),
      `Client ${quoteText(reader.name)} has the group ${quoteText(name)}: add a section [group ${name}]`,
    );
  return group;
}

/** Returns the line of the client in [rights]. A client of which the file says nothing has the right `use`. */
export function rightsText({ name, rights, limits }: Pick<WantedClient, 'name' | 'rights' | 'limits'>): string {
  return [name, rights ?? 'use', ...limits.flatMap(([key, value]) => (value === 'off' ? [] : [`${key}=${value}`]))].join(' ');
}

function readPeers(readers: readonly Reader<'peer'>[], findings: Findings): readonly WantedPeer[] {
  const uniques = new Uniques(findings);
  return readers.map((reader): WantedPeer => {
    const { name, line, section } = reader;
    const server = reader.value('server') ?? '';
    uniques.claim(
      `${server} ${name}`,
      line,
      `peer ${quoteText(name)} of server ${quoteText(server)}`,
      'give each peer of a server one section',
    );
    const isAbsent = reader.value('state') === 'absent';
    if (!isAbsent && reader.value('nodekey') === null && !reader.isSet('nodekey') && !reader.isSet('nodekey-file'))
      findings.problem(
        line,
        `Peer ${quoteText(name)} of server ${quoteText(server)} has no key: add "nodekey-file = FILE" or "nodekey = KEY"`,
      );
    return { name, server, entries: Object.keys(PEER_SECTION.keys).flatMap((key) => entryOf(section, key)), isAbsent };
  });
}
