// Changes the key of a client in steps. Between the steps, the server accepts both keys, so that the client is never locked out. rsadm and
// crsio use this module. Invariant: a new key is returned only by the step that makes it, and no error shows a key.

import { newKey } from '../cli/new-key.ts';
import type { IniDocument } from '../config/reader/ini-document.ts';
import { addSecondKey, dropFirstKey, dropSecondKey } from '../config/rssrvcfg-edit.ts';
import type { ClientView } from '../control/server/views.ts';
import { RsError, toRsError } from '../lib/errors.ts';
import type { ServerCall } from '../control/server/call-server.ts';
import { changeServerFile, checkServerFile, type ServerFileContext } from './server-file.ts';

/** `start` gives the client a second, new key. `finish` drops the old key. `cancel` drops the new key. */
export type RekeyStep = 'start' | 'finish' | 'cancel';

type RekeyContext = Omit<ServerFileContext, 'call'> & { readonly call: ServerCall };

/**
 * Returns the new key if the step is `start`, else null. Unless `isForced`, throws E_IN_USE if dropping a key would end the session of the
 * client. Also throws the errors of `changeServerFile`.
 */
export async function rekeyClient(context: RekeyContext, name: string, step: RekeyStep, isForced: boolean): Promise<string | null> {
  const key = step === 'start' ? newKey() : null;
  const edit = (document: IniDocument): IniDocument => {
    if (key !== null) return addSecondKey(document, name, key);
    return step === 'finish' ? dropFirstKey(document, name) : dropSecondKey(document, name);
  };
  checkServerFile(context, edit);
  if (key === null && !isForced) await checkUnused(context, name, step === 'finish' ? 'old' : 'new');
  await changeServerFile(context, edit, context.note);
  return key;
}

/** Throws E_IN_USE if the client has authenticated its session with this key. */
async function checkUnused(context: RekeyContext, name: string, key: 'old' | 'new'): Promise<void> {
  const session = (await clientsOf(context)).find((client) => client.name === name && client.sessionKey === key);
  if (session === undefined) return;
  throw new RsError(
    'E_IN_USE',
    `The session of client ${name} at ${session.address ?? '?'} uses the ${key} key, and would end: give the client the ` +
      `${key === 'old' ? 'new' : 'old'} key, run rsconfig reload there and rsadm client kick ${name} here, and try again; or give --force`,
    { client: name },
  );
}

/** Returns no clients if rssrv is not running, because only rssrv has sessions. */
async function clientsOf({ call }: RekeyContext): Promise<readonly ClientView[]> {
  try {
    return (await call('client-list', {})).clients;
  } catch (thrown) {
    if (toRsError(thrown).code === 'E_NOT_RUNNING') return [];
    throw thrown;
  }
}
