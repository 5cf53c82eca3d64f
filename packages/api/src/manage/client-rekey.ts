// Changes the key of a client in steps. Between the steps, the server accepts both keys. rsadm and crsio use this module. Invariant: a new
// key is returned only by the step that makes it, no error shows a key, and without force, no step drops a key unless a session has proved
// the other one.

import { newKey } from '@rsio/common/cli/new-key';
import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { addSecondKey, dropFirstKey, dropSecondKey } from '@rsio/common/config/rssrvcfg-edit';
import type { ClientView } from '../views/views.ts';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { ServerCall } from '../rssrv/call-server.ts';
import { changeServerFile, checkServerFile, type ServerFileContext } from './server-file.ts';

/** `start` gives the client a second, new key. `finish` drops the old key. `cancel` drops the new key. */
export type RekeyStep = 'start' | 'finish' | 'cancel';

type RekeyContext = Omit<ServerFileContext, 'call'> & { readonly call: ServerCall };

/**
 * Returns the new key if the step is `start`, else null. `given` is the key that another server has made; null: a new key is made. Unless
 * `isForced`, a key is dropped only while a session proves that the client uses the other one: throws E_IN_USE, because the client would be
 * shut out. Also throws the errors of `changeServerFile`.
 */
export async function rekeyClient(
  context: RekeyContext,
  name: string,
  step: RekeyStep,
  isForced: boolean,
  given: string | null = null,
): Promise<string | null> {
  const key = step === 'start' ? (given ?? newKey()) : null;
  const edit = (document: IniDocument): IniDocument => {
    if (key !== null) return addSecondKey(document, name, key);
    return step === 'finish' ? dropFirstKey(document, name) : dropSecondKey(document, name);
  };
  checkServerFile(context, edit);
  if (step !== 'start' && !isForced) await checkOtherInUse(context, name, step);
  await changeServerFile(context, edit, context.note);
  return key;
}

/** Throws E_IN_USE unless the sessions of the client have proved the key that stays, and no other key. */
async function checkOtherInUse(context: RekeyContext, name: string, step: 'finish' | 'cancel'): Promise<void> {
  const [dropped, kept] = step === 'finish' ? ['old', 'new'] : ['new', 'old'];
  const client = (await clientsOf(context)).find((one) => one.name === name);
  if (client?.sessionKey === kept) return;
  const what =
    client?.sessionKey === dropped
      ? `The session of client ${name} at ${client.address ?? '?'} uses the ${dropped} key, and would end`
      : `Client ${name} has no session here, so that nothing shows that it has the ${kept} key`;
  throw new RsError(
    'E_IN_USE',
    `${what}: give the client the ${kept} key, run rsconfig reload there and rsadm client kick ${name} here, and try again; ` +
      `or rsadm client rekey ${name} --${step} --force`,
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
