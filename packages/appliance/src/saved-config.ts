// The configuration of the appliance as one file: settings, the files of rssrv and the key of the SSH server. Invariants: nothing is
// replaced before the whole file has been checked; what is saved can be restored. The accepted file is stored first, and then replaces the
// present configuration step by step; after a power cut, the next boot repeats all steps.

import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { examineRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import { replaceFile, syncDirectory } from '@rsio/base/files/durable-write';
import { RsError } from '@rsio/base/lib/errors';
import { map, misfit, object, type Of, orNull, text, textThat, word } from '@rsio/base/lib/shape';
import { SAVED_CONFIG_MAX_BYTES } from './limits.ts';
import { appliancePaths } from './machine.ts';
import { readSettings, SETTINGS, writeSettings } from './settings.ts';

const isHostKey = (text: string): boolean => text.startsWith('-----BEGIN OPENSSH PRIVATE KEY-----\n');

const CONTENT = object({
  settings: SETTINGS,
  /** Files of /etc/dvsc, by name. */
  server: map(text()),
  hostKey: orNull(textThat(isHostKey, 'a private key of OpenSSH')),
});
const SAVED = object({ kind: word(['rsio-appliance-configuration']), sha256: text(), content: CONTENT });
type SavedContent = Of<typeof CONTENT>;

export function savedText(content: SavedContent): string {
  return `${JSON.stringify({ kind: 'rsio-appliance-configuration', sha256: sumOf(content), content }, null, 1)}\n`;
}

function sumOf(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

/** Returns the checked content. Throws E_CONFIG, which names the first fault. */
export function savedContent(file: string, given: string): SavedContent {
  const refuse = (why: string): never => {
    throw new RsError('E_CONFIG', `${file} is not a usable configuration: ${why}: give a file that rsadm appliance save has written`);
  };
  let parsed: unknown;
  try {
    parsed = JSON.parse(given);
  } catch {
    return refuse('it is not JSON');
  }
  const found = misfit(SAVED, parsed, 'stored');
  if (found !== null) return refuse(found);
  const { sha256, content } = parsed as Of<typeof SAVED>;
  if (sha256 !== sumOf(content)) return refuse('its checksum is wrong');
  const fault = faultOf(content);
  return fault === null ? content : refuse(fault);
}

/** Returns the first fault of the files of rssrv. */
function faultOf({ server }: SavedContent): string | null {
  const strange = Object.keys(server).find((name) => !/^[A-Za-z0-9][\w.-]{0,63}$/.test(name));
  if (strange !== undefined) return `the name of file ${JSON.stringify(strange)} is not allowed`;
  const text = server['rssrvcfg'] ?? '';
  // The first rssrvcfg has only comments.
  const [problem] = /^\s*\[/m.test(text) ? examineRssrvConfig(text, 'rssrvcfg').problems : [];
  return problem === undefined ? null : `rssrvcfg:${problem.line}: ${problem.message}`;
}

/** Returns the key of the SSH server; null if there is none, or if a power cut has left a part of one. */
export function presentHostKey(root: string): string | null {
  const { hostKey } = appliancePaths(root);
  const key = existsSync(hostKey) ? readFileSync(hostKey, 'utf8') : '';
  return isHostKey(key) ? key : null;
}

/** Throws E_CONFIG if a file could not be restored. */
export async function presentConfig(root: string): Promise<string> {
  const { dvsc } = appliancePaths(root);
  const files = (existsSync(dvsc) ? filesIn(dvsc) : []).filter((name) => !name.endsWith('.new')).toSorted();
  const read = files.map((name) => [name, readFileSync(join(dvsc, name))] as const);
  const server = Object.fromEntries(read.map(([name, bytes]) => [name, bytes.toString()]));
  const content = { settings: await readSettings(root), server, hostKey: presentHostKey(root) };
  const given = savedText(content);
  const binary = read.find(([, bytes]) => !isUtf8(bytes))?.[0];
  const fault = binary === undefined ? faultOf(content) : `${binary} is no text`;
  if (fault !== null) throw new RsError('E_CONFIG', `The files in ${dvsc} cannot be saved: ${fault}: correct or remove the file`);
  if (Buffer.byteLength(given) > SAVED_CONFIG_MAX_BYTES)
    throw new RsError('E_CONFIG', `The files in ${dvsc} cannot be saved: they have more than ${SAVED_CONFIG_MAX_BYTES} bytes: remove some`);
  return given;
}

function filesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile());
}

/** Accepts a saved configuration, which the next boot makes effective. Throws E_CONFIG or E_SYSTEM. */
export async function acceptConfig(root: string, file: string): Promise<void> {
  if (statSync(file).size > SAVED_CONFIG_MAX_BYTES)
    throw new RsError(
      'E_CONFIG',
      `${file} is longer than ${SAVED_CONFIG_MAX_BYTES} bytes: give a file that rsadm appliance save has written`,
    );
  const given = readFileSync(file, 'utf8');
  savedContent(file, given);
  const { restored, refused } = appliancePaths(root);
  rmSync(refused, { force: true });
  await replaceFile(restored, given);
}

/** Replaces the configuration by an accepted one. Does nothing if there is none. */
export async function finishRestore(root: string): Promise<void> {
  const { restored, dvsc, hostKey } = appliancePaths(root);
  if (!existsSync(restored)) return;
  const { settings, server, hostKey: key } = savedContent(restored, readFileSync(restored, 'utf8'));
  await writeSettings(root, settings);
  for (const [name, content] of Object.entries(server)) await replaceFile(join(dvsc, name), content);
  for (const name of filesIn(dvsc)) if (!Object.hasOwn(server, name)) rmSync(join(dvsc, name));
  await syncDirectory(dvsc);
  for (const one of [hostKey, `${hostKey}.pub`]) rmSync(one, { force: true });
  if (key !== null) await replaceFile(hostKey, key);
  rmSync(restored);
  await syncDirectory(join(restored, '..'));
}
