// Implements `identity new`, for a client that is a copy of another machine, or that came back from a backup: rsiod makes a new machine id at
// its next start. Invariant: the identity of a running rsiod never changes, and the old file is kept.

import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { defineCommand } from '../cli/context.ts';

export const IDENTITY_NEW = defineCommand({
  call: { by: 'words', words: 'identity new' },
  synopsis: 'identity new',
  summary: 'gives a copied or restored machine an identity of its own',
  details: `Servers know the starts of a client by an id of its machine, which a copied disk
has, too, and a restored one has from before. rsiod makes a new id at its next
start. First stop rsiod (rsconfig stop). A copy also needs a name and a key of
its own: rsadm client add NAME on the servers, and rsconfig namespace set
NAMESPACE nodename=NAME --nodekey-file F here.`,
  options: {},
  operands: { min: 0, max: 0 },
  run: async ({ call, clock, out, note, paths: { stateDir } }) => {
    const isRunning = await call('daemon', {}).then(
      () => true,
      (thrown: unknown) => {
        if (toRsError(thrown).code === 'E_NOT_RUNNING') return false;
        throw thrown;
      },
    );
    if (isRunning) throw new RsError('E_ALREADY_RUNNING', 'rsiod is running with its identity: stop it first (rsconfig stop)');
    const file = join(stateDir, 'identity.json');
    const aside = `${file}-before-${clock.wallMs()}`;
    try {
      await rename(file, aside);
    } catch (thrown) {
      if (errnoName(thrown) !== 'ENOENT') throw thrown;
      note(`There is no ${file}: rsiod makes a new identity anyway`);
      return 0;
    }
    await syncDirectory(stateDir);
    out(`rsiod makes a new identity at its next start; the old one is in ${aside}\n`);
    return 0;
  },
});
