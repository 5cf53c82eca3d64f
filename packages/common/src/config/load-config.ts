// Reads a configuration file, warns about unsafe permissions, and passes the text to the parser. Invariant: the returned text, encoded as
// UTF-8, equals the file byte for byte. A file that is not UTF-8 is refused, because an edit could not write such a file back unchanged.

import * as nodeFs from 'node:fs';
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { CONFIG_FILE_MAX_BYTES } from './schema/limits.ts';
import { targetOf } from '@rsio/base/files/symlink-target';
import { parseGateSecrets } from './gate-secrets.ts';
import { parseRscltConfig } from './reader/rscltcfg.ts';
import { parseRssrvConfig } from './reader/rssrvcfg.ts';
import type { ClientGateConfig, ConfigWarning, GateSecret, RscltConfig, RssrvConfig } from './schema/types.ts';

const ROOT_UID = 0;
const READABLE = { everybody: 0o004, group: 0o040 };
const WRITABLE = { everybody: 0o002, group: 0o020 };
/** True if the text of the server's or the client's file contains secret keys. A file without secret keys may be readable by every user. */
const hasSecretKeys = (text: string): boolean => /key\s*=|^\s*\[clients\]/m.test(text);

export interface ConfigText {
  readonly text: string;
  readonly warnings: readonly ConfigWarning[];
}

/**
 * Reads a configuration file. Throws E_NO_CONFIG, E_RIGHTS or E_SYSTEM. Throws E_CONFIG if the file is not a regular file, is too large or
 * is not UTF-8. `hasKeys`: returns true if only the owner of the file should be able to read the text.
 */
export function readConfigFile(path: string, hasKeys: (text: string) => boolean = hasSecretKeys): ConfigText {
  const { bytes, stats } = readOpened(path);
  const text = decode(bytes, path);
  const warnings: ConfigWarning[] = [];
  const { uid } = stats;
  if (process.geteuid?.() === ROOT_UID && uid !== ROOT_UID && String(uid) !== process.env['SUDO_UID']) {
    warnings.push({ file: path, line: 0, message: `User ${uid} owns ${path}, and decides what root does with it: run chown root ${path}` });
  }
  const doubt = rightsDoubt(path, stats.mode, hasKeys(text));
  if (doubt !== null) warnings.push({ file: path, line: 0, message: doubt });
  return { text, warnings };
}

/**
 * Returns a warning about the permissions of the file; null if they are safe. A user that can change the file controls the daemon, which
 * often runs as root. A user that can read the keys can impersonate a client.
 */
function rightsDoubt(path: string, bits: number, hasKeys: boolean): string | null {
  const mode = (bits & 0o777).toString(8).padStart(4, '0');
  const remedy = `${path} (mode ${mode}): run chmod 600 ${path}`;
  if ((bits & WRITABLE.everybody) !== 0) return `Every user can change ${remedy}`;
  if ((bits & WRITABLE.group) !== 0) return `Its group can change ${remedy}`;
  if (!hasKeys) return null;
  if ((bits & READABLE.everybody) !== 0) return `Every user can read the keys in ${remedy}`;
  return (bits & READABLE.group) === 0 ? null : `Its group can read the keys in ${remedy}`;
}

/** Reads and parses the server's file; throws the errors of both steps. */
export function loadRssrvConfig(path: string): RssrvConfig {
  const { text, warnings } = readConfigFile(path);
  const config = parseRssrvConfig(text, path);
  return { ...config, warnings: [...warnings, ...config.warnings] };
}

/** Reads and parses the client's file; throws the errors of both steps. */
export function loadRscltConfig(path: string): RscltConfig {
  const { text, warnings } = readConfigFile(path);
  const config = parseRscltConfig(text, path);
  const loaded = config.gates.map(withSecrets);
  return {
    ...config,
    gates: loaded.map(({ gate }) => gate),
    warnings: [...warnings, ...config.warnings, ...loaded.flatMap((one) => one.warnings)],
  };
}

/** Reads the secrets of a gate. Throws E_CONFIG. */
export function withSecrets(gate: ClientGateConfig): { readonly gate: ClientGateConfig; readonly warnings: readonly ConfigWarning[] } {
  const { name, secretFile, hosts } = gate;
  if (secretFile === null) return { gate, warnings: [] };
  try {
    const { text, warnings } = readConfigFile(secretFile, () => true);
    const found = parseGateSecrets(text, secretFile);
    const [needed, what] = gate.tls ? [found.tlsKeys, 'TLS key'] : [found.secrets, 'secret'];
    const missing = (hosts ?? []).filter((host) => !needed.has(host)).map((host) => `${secretFile} has no ${what} for ${host}`);
    const refusals = missing.map((lack) => `${lack}: gate ${name} refuses this host`);
    const lacks = [...refusals, ...sameSecrets(found.secrets)].map((message) => ({ file: secretFile, line: 0, message }));
    return { gate: { ...gate, ...found }, warnings: [...warnings, ...lacks] };
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code === 'E_CONFIG') throw thrown;
    throw new RsError('E_CONFIG', `The secret-file of gate ${name} cannot be used: ${thrown.message}`, { file: secretFile }, thrown);
  }
}

/** Returns a sentence for each secret that two names have: with it, one of them can log in as the other one. */
function sameSecrets(secrets: ReadonlyMap<string, GateSecret>): string[] {
  const first = new Map<string, string>();
  return [...secrets].flatMap(([name, { key }]) => {
    const other = first.get(key.toString('hex'));
    if (other === undefined) first.set(key.toString('hex'), name);
    return other === undefined ? [] : [`${other} and ${name} have the same secret, so that one can log in as the other: give each its own`];
  });
}

/** Returns one text per warning, as `FILE:LINE: message`; a warning about the whole file is only the message. */
export function warningSentences(warnings: readonly ConfigWarning[]): string[] {
  return warnings.map(({ file, line, message }) => (line === 0 ? message : `${file}:${line}: ${message}`));
}

function readOpened(path: string): { bytes: Buffer; stats: Stats } {
  let descriptor: number | undefined;
  try {
    // O_NONBLOCK prevents openSync from blocking on a FIFO.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(descriptor);
    if (!stats.isFile())
      throw new RsError('E_CONFIG', `Configuration ${path} is not a regular file: put the configuration file there`, { path });
    if (stats.size > CONFIG_FILE_MAX_BYTES) {
      const sizes = `${stats.size} bytes, allowed are ${CONFIG_FILE_MAX_BYTES}`;
      throw new RsError('E_CONFIG', `Configuration file ${path} has ${sizes}: check whether it is the right file`, {
        path,
        sizeBytes: stats.size,
      });
    }
    targetOf(path, nodeFs);
    return { bytes: readFileSync(descriptor), stats };
  } catch (thrown) {
    throw readError(path, thrown);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function readError(path: string, thrown: unknown): RsError {
  if (thrown instanceof RsError) return thrown;
  const errno = errnoName(thrown);
  const context = { path, errno };
  if (errno === 'ENOENT' || errno === 'ENOTDIR') {
    return new RsError('E_NO_CONFIG', `No configuration file ${path}: ${remedyFor(path)}`, context, thrown);
  }
  if (errno === 'EACCES' || errno === 'EPERM') {
    return new RsError('E_RIGHTS', `No permission to read ${path}: run as root or as the owner of the file`, context, thrown);
  }
  return new RsError('E_SYSTEM', `Cannot read ${path} (${errno ?? String(thrown)}): check the file and its disk`, context, thrown);
}

function remedyFor(path: string): string {
  if (path.endsWith('/rscltcfg')) return 'make one with crsio or rsconfig join, or by hand (see rscltcfg(5))';
  if (path.endsWith('/rssrvcfg')) return 'rsadm init makes one, or write one (see rssrvcfg(5))';
  if (path.endsWith('/rswebcfg')) return 'rsweb token NAME prints a first section for it (see rswebcfg(5))';
  return 'check the name, or write the file';
}

function decode(bytes: Buffer, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const line = firstBadLine(bytes);
    const message = 'Text is not UTF-8: save the file as UTF-8';
    throw new RsError('E_CONFIG', `${path}:${line}: ${message}`, { file: path, problems: [{ line, message }] });
  }
}

/** Returns the number (counted from 1) of the first line that is not valid UTF-8. */
function firstBadLine(bytes: Buffer): number {
  const good = bytes.toString('utf8').split('\n');
  const index = good.findIndex((line) => line.includes('\ufffd'));
  return index + 1;
}
