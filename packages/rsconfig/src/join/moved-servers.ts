// Finds the [server] sections whose server `join` has proved at other addresses, so that it changes them and writes no second ones. The file
// servers.json of rsiod says which section led to which server. Invariants: a section is old only if its server neither lists its address nor
// answers there. If two servers with one serverid answer, nothing is written, because one of them is a copy of the other.

import { openConfigFile } from '@rsio/common/config/config-file';
import { type KnownServer, KNOWN_SERVERS_FORM } from '@rsio/common/config/known-servers';
import { printIni } from '@rsio/common/config/reader/ini-document';
import { examineRscltConfig, targetPort } from '@rsio/common/config/reader/rscltcfg';
import { StateFile } from '@rsio/common/files/state-file';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { endPointKey } from '@rsio/common/lib/subnet';
import { printEndpoint } from '@rsio/common/lib/units';
import type { CommandContext } from '../cli/context.ts';
import { thisMachine } from '../cli/this-machine.ts';
import { type Discovery, firstConnection, type JoinTarget } from './discovery.ts';
import type { OldSection } from './plan.ts';
import type { Trial, TriedPath } from './trial.ts';

/** Throws E_AMBIGUOUS if two servers have one serverid. */
export async function oldSections(
  context: CommandContext,
  target: JoinTarget,
  { namespaceid }: Discovery,
  { usable }: Trial,
): Promise<OldSection[]> {
  const proved = new Map<number, TriedPath>();
  for (const one of usable) {
    const other = proved.get(one.path.serverid);
    if (other !== undefined && other.report.server?.instance !== one.report.server?.instance)
      throw twoServers(other, one.path.server, printEndpoint(one.path.address, one.path.port));
    proved.set(one.path.serverid, one);
  }
  const old: OldSection[] = [];
  for (const { serverid, section, address, port } of await knownSections(context, namespaceid)) {
    const there = proved.get(serverid);
    if (there === undefined || listsOf(there).has(endPointKey(address, port))) continue;
    const answer = await connection({ ...target, host: { address, port }, namespaceid }, context);
    if (answer?.serverid !== serverid) old.push({ section, serverid, address });
    else if (answer.instance !== there.report.server?.instance) throw twoServers(there, answer.server, printEndpoint(address, port));
  }
  return old;
}

function twoServers({ path }: TriedPath, server: string, place: string): RsError {
  const both = `Server ${path.server} at ${printEndpoint(path.address, path.port)} and server ${server} at ${place} both have`;
  return new RsError(
    'E_AMBIGUOUS',
    `${both} serverid ${path.serverid}: one is a copy of the other; give the copy another one (rsadm identity new there); nothing was written`,
  );
}

/** Keys of the addresses that are known to be the server's now. */
function listsOf({ path, report }: TriedPath): ReadonlySet<string> {
  return new Set([path, ...(report.server?.interfaces ?? [])].map(({ address, port }) => endPointKey(address, port)));
}

/** Returns the server that answers at the host of `target`; null if none does. */
async function connection(target: JoinTarget, { clock }: CommandContext) {
  try {
    return (await firstConnection(target, thisMachine(clock))).report.server;
  } catch (thrown) {
    if (toRsError(thrown).code === 'E_UNREACHABLE') return null;
    throw thrown;
  }
}

interface KnownSection extends OldSection {
  readonly port: number;
}

/** Returns the sections that lead to servers that rsiod has proved earlier. */
async function knownSections(context: CommandContext, namespaceid: number): Promise<KnownSection[]> {
  const { config } = examineRscltConfig(printIni(openConfigFile(context.configFile).document), context.configFile);
  const home = config?.namespaces.find((one) => one.namespaceid === namespaceid);
  if (config === null || home === undefined) return [];
  const known = (await knownServers(context)).filter((one) => one.namespaceid === namespaceid);
  return home.servers.flatMap((section) => {
    const ports = new Set(config.interfaces.map((local) => targetPort(config, home, section, local)));
    const found = [...ports].flatMap((port) => {
      const server = known.find(({ sections }) => sections.includes(endPointKey(section.address, port)));
      return server === undefined ? [] : [{ section: section.name, serverid: server.serverid, address: section.address, port }];
    });
    return found.slice(0, 1);
  });
}

/** A damaged file is noted; it is only a hint. */
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
