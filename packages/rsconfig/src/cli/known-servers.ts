// Says which server each [server] section of rscltcfg led to when rsiod last reached it, from the file servers.json of rsiod. Invariant: the
// answer is a hint. A section whose server rsiod has never proved has no answer.

import { type KnownServer, KNOWN_SERVERS_FORM } from '@rsio/common/config/known-servers';
import { targetPort } from '@rsio/common/config/reader/rscltcfg';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { StateFile } from '@rsio/base/files/state-file';
import { toRsError } from '@rsio/base/lib/errors';
import { endPointKey } from '@rsio/base/lib/subnet';
import type { CommandContext } from './context.ts';

export interface KnownSection {
  readonly section: string;
  readonly server: string;
  readonly serverid: number;
  readonly address: string;
  readonly port: number;
}

export async function knownSections(context: CommandContext, config: RscltConfig, namespaceid: number): Promise<KnownSection[]> {
  const home = config.namespaces.find((one) => one.namespaceid === namespaceid);
  const known = (await knownServers(context)).filter((one) => one.namespaceid === namespaceid);
  return (home?.servers ?? []).flatMap(({ name: section, address, port: given }) => {
    const ports = new Set(config.interfaces.map((local) => targetPort(config, home ?? { port: null }, { port: given }, local)));
    const found = [...ports].flatMap((port) => {
      const server = known.find(({ sections }) => sections.includes(endPointKey(address, port)));
      return server === undefined ? [] : [{ section, server: server.name, serverid: server.serverid, address, port }];
    });
    return found.slice(0, 1);
  });
}

/** A damaged file is noted, and knows no server. */
async function knownServers({ paths, note }: CommandContext): Promise<readonly KnownServer[]> {
  try {
    const file = new StateFile<{ readonly servers: readonly KnownServer[] }>(paths.serversFile, KNOWN_SERVERS_FORM, () => ({
      servers: [],
    }));
    return (await file.load())?.servers ?? [];
  } catch (thrown) {
    note(toRsError(thrown).message);
    return [];
  }
}
