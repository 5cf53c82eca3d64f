// Tries a new nodekey at all servers of its namespace before rscltcfg gets it, because a client has one key for all of them, and would find out
// at its next login only. Invariant: a key that a server refuses is written only by force, and a server that did not answer is named.

import { examineRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { type IniDocument, printIni } from '@rsio/common/config/reader/ini-document';
import { RsError } from '@rsio/base/lib/errors';
import { addressKey } from '@rsio/base/lib/subnet';
import type { CommandContext } from '../cli/context.ts';
import { thisMachine } from '../cli/this-machine.ts';
import { tryPaths } from '../doctor/gather/gather-paths.ts';
import { listOf, serverName } from '../doctor/gather/naming.ts';

/** `changed`: rscltcfg with the new key. Throws E_AUTH if a server refuses the key. A file with errors has no servers to ask. */
export async function tryNodekey(context: CommandContext, changed: IniDocument, name: string): Promise<void> {
  const { config } = examineRscltConfig(printIni(changed), context.configFile);
  const namespaces = config?.namespaces.filter((one) => one.name === name && one.servers.length > 0) ?? [];
  if (config === null || namespaces.length === 0) return;
  const { paths } = await tryPaths({ ...config, namespaces }, thisMachine(context.clock), context.note);
  const refused = [...new Set(paths.filter(({ report }) => report?.failureCode === 'E_AUTH').map(serverName))];
  if (refused.length > 0) {
    const { nodename } = namespaces[0]!;
    throw new RsError(
      'E_AUTH',
      `Nothing was changed, because ${listOf(refused)} ${refused.length === 1 ? 'does' : 'do'} not accept this key of node ${nodename}: ` +
        `there, rsadm client rekey ${nodename} --key-file FILE, and try again; or give --force`,
    );
  }
  const proved = paths.filter(({ report }) => report?.server?.isProved === true);
  const known = new Set(
    proved.flatMap(({ address, report }) => [address, ...(report?.server?.interfaces ?? []).map((one) => one.address)]).map(addressKey),
  );
  const quiet = namespaces.flatMap(({ servers }) => servers.flatMap((one) => (known.has(addressKey(one.address)) ? [] : [one.name])));
  if (quiet.length > 0)
    context.note(`No answer from ${listOf(quiet)}: whether the key is accepted there is unknown, and rsconfig doctor shows it later`);
}
