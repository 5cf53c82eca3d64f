// Implements `rename` and `identity new`, which change by what clients and other servers know this server: its name, and, on a copy of a
// machine, its serverid with the records that only the original may have. Invariants: neither changes a server that runs, or a server whose
// pools others know by its name or its serverid. Nothing is deleted.

import { existsSync } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openConfigFile } from '@rsio/common/config/config-file';
import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { changeServerSection, renameServer } from '@rsio/common/config/rssrvcfg-edit';
import { rssrvPaths } from '@rsio/common/config/root-paths';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { plural } from '@rsio/base/lib/units';
import { changeServerFile, checkServerFile } from '@rsio/api/manage/server-file';
import { type AdmContext, defineCommand, usageError } from '../cli/context.ts';

export const RENAME = defineCommand({
  call: { by: 'words', words: 'rename' },
  synopsis: 'rename NAME',
  summary: 'gives this server another name, while rssrv is stopped',
  details: `Clients find the server by its addresses and know it by its serverid, so that
nothing changes on them. At its peers, the server stays the client that it was:
sections [peer] get its old name as nodename. The command is refused while rssrv
runs, and while rssrvcfg has a pool on a shared disk, because the record of such
a pool has the names of its owners.`,
  options: {},
  operands: { min: 1, max: 1 },
  run: async (context, _, [name = '']) => {
    const edit = (document: IniDocument): IniDocument => renameServer(document, name);
    checkServerFile(context, edit);
    const shared = sectionsWith(context, (one) => one.type === 'pool' && one.contents.some(({ key }) => key === 'disk'));
    if (shared.length > 0)
      throw new RsError(
        'E_IN_USE',
        `${shared.join(', ')} is on a shared disk, whose record has the name of this server: start rssrv, take it out (rsadm pool remove), and stop rssrv`,
      );
    await checkStopped(context, 'name');
    await changeServerFile(context, edit);
    context.out(`this server is ${name} now\n`);
    return undefined;
  },
});

export const IDENTITY_NEW = defineCommand({
  call: { by: 'words', words: 'identity new' },
  synopsis: 'identity new --serverid N [--name NAME] [--namespaceid N]',
  summary: 'makes another server of a copy of a machine',
  details: `For a machine whose disk was copied from another server. The copy gets a
serverid that no server of the namespace has, gives up the serverkey, and puts
aside the state of rssrv, because only the original may have its records. First
stop rssrv, take the pools and peers out (rsadm pool remove, rsadm peer remove),
and remove the volumes of rssrvcfg, because their content is a copy, too. With
--namespaceid, the copy becomes a server of another namespace.`,
  options: {
    serverid: { kind: 'text', value: 'N', help: 'number that no other server of the namespace has' },
    name: { kind: 'text', value: 'NAME', help: 'new name of this server' },
    namespaceid: { kind: 'text', value: 'N', help: 'number of another namespace' },
  },
  operands: { min: 0, max: 0 },
  run: async (context, { serverid, name, namespaceid }) => {
    if (serverid === null) throw usageError('No --serverid: give a number that no other server of the namespace has');
    const edit = (document: IniDocument): IniDocument => {
      const own = document.sections.find(({ type }) => type === 'server')?.contents.find(({ key }) => key === 'serverid')?.value;
      if (own === serverid && namespaceid === null)
        throw new RsError('E_CONFIG', `This server has serverid ${serverid} already: give another number`);
      const changed = changeServerSection(document, 'server', null, [
        ['serverid', serverid],
        ['serverkey', null],
      ]);
      const named = name === null ? changed : renameServer(changed, name);
      return namespaceid === null ? named : changeServerSection(named, 'namespace', null, [['namespaceid', namespaceid]]);
    };
    checkServerFile(context, edit);
    const copied = sectionsWith(context, ({ type }) => type === 'pool' || type === 'volume');
    if (copied.length > 0)
      throw new RsError(
        'E_IN_USE',
        `${copied.join(', ')} may be a copy of what the original serves: take pools out (rsadm pool remove NAME), and remove sections [volume]`,
      );
    const peers = sectionsWith(context, ({ type }) => type === 'peer');
    if (peers.length > 0)
      throw new RsError('E_IN_USE', `${peers.join(', ')} makes this copy log in as the original: take it out (rsadm peer remove NAME)`);
    await checkStopped(context, 'serverid');
    const aside = await putAside(rssrvPaths(context.root).stateDir, context);
    await changeServerFile(context, edit);
    context.out(`this server has serverid ${serverid} now${aside === null ? '' : `; its earlier state is in ${aside}`}\n`);
    return undefined;
  },
});

/** Returns the headers of the sections for which `isMeant` is true, such as `[pool fast]`. */
function sectionsWith({ configFile }: AdmContext, isMeant: (section: IniDocument['sections'][number]) => boolean): string[] {
  return openConfigFile(configFile)
    .document.sections.filter(isMeant)
    .map(({ type, name }) => `[${type} ${name}]`);
}

/** Throws E_ALREADY_RUNNING if rssrv runs. */
async function checkStopped({ call }: AdmContext, what: string): Promise<void> {
  try {
    await call('daemon', {});
  } catch (thrown) {
    if (toRsError(thrown).code === 'E_NOT_RUNNING') return;
    throw thrown;
  }
  throw new RsError('E_ALREADY_RUNNING', `rssrv is running, and clients identify it by its ${what}: stop it first (systemctl stop rssrv)`);
}

/** Renames the state folder durably, and returns its new path; null if there is none. */
async function putAside(folder: string, { note, clock }: AdmContext): Promise<string | null> {
  if (!existsSync(folder)) return null;
  const votes = await readdir(join(folder, 'voters')).catch(() => []);
  if (votes.length > 0) note(`The state has ${plural(votes.length, 'record')} of mirrors: they count at the original only`);
  const aside = `${folder}-before-${clock.wallMs()}`;
  await rename(folder, aside);
  await syncDirectory(dirname(folder));
  return aside;
}
