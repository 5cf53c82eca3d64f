// Finds the [server] sections whose server `join` has proved at other addresses, so that it changes them and writes no second ones. The file
// servers.json of rsiod says which section led to which server. Invariants: a section is old only if its server neither lists its address nor
// answers there. If two servers with one serverid answer, nothing is written, because one of them is a copy of the other.

import type { RscltConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { endPointKey } from '@rsio/base/lib/subnet';
import { printEndpoint } from '@rsio/base/lib/units';
import type { CommandContext } from '../cli/context.ts';
import { knownSections } from '../cli/known-servers.ts';
import { thisMachine } from '../cli/this-machine.ts';
import { type Discovery, firstConnection, type JoinTarget } from './discovery.ts';
import type { OldSection } from './plan.ts';
import type { Trial, TriedPath } from './trial.ts';

/** `before`: the current content of rscltcfg. Throws E_AMBIGUOUS if two servers have one serverid. */
export async function oldSections(
  context: CommandContext,
  before: RscltConfig | null,
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
  for (const { serverid, section, address, port } of before === null ? [] : await knownSections(context, before, namespaceid)) {
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
