// Gathers all facts that doctor needs about the file, this machine, every tried path and the daemon, and the findings of exploration.
// Nothing is judged here. Invariants: gathering takes a bounded time; each longer wait is announced; an unreadable file does not cause an
// exception.

import { existsSync, statSync } from 'node:fs';
import { parseIni } from '@rsio/common/config/reader/ini-document';
import { readConfigFile } from '@rsio/common/config/load-config';
import { examineRscltConfig, targetPort } from '@rsio/common/config/reader/rscltcfg';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { startCommand } from '@rsio/common/control/start-daemon';
import { toRsError } from '@rsio/base/lib/errors';
import { programVersion } from '@rsio/base/lib/version';
import { gatherUpkeep } from '@rsio/api/manage/upkeep';
import { explore } from '@rsio/protocol/explorer/explorer';
import type { Finding } from '@rsio/protocol/explorer/finding';
import { interfaceOf } from '@rsio/protocol/explorer/interfaces';
import type { CommandContext } from '../../cli/context.ts';
import { type ThisMachine, thisMachine } from '../../cli/this-machine.ts';
import type { DoctorFacts, FileFacts } from './facts.ts';
import {
  gatherApplications,
  gatherBackups,
  gatherDaemon,
  gatherGates,
  gatherMirrors,
  gatherServers,
  gatherSystem,
  gatherVolumes,
} from './gather-daemon.ts';
import { tryPaths } from './gather-paths.ts';
import { cardsBelow, routersOfDevices, silentAddresses, tablesInUse } from './network-facts.ts';

export async function gatherFacts(context: CommandContext): Promise<DoctorFacts> {
  const here = thisMachine(context.clock);
  const file = gatherFile(context.configFile);
  const [daemon, tables, routers, silent] = await Promise.all([
    gatherDaemon(context),
    tablesInUse(),
    routersOfDevices(),
    silentAddresses(),
  ]);
  const volumes = await gatherVolumes(context, daemon);
  const mirrors = await gatherMirrors(context, daemon);
  const tried = file.config === null ? { paths: [], pathsNotTried: 0, leftOut: [] } : await tryPaths(file.config, here, context.note);
  const explored = file.config === null ? [] : await exploreNamespaces(file.config, here);
  const { root } = context.paths;
  const { program, args } = startCommand(root, undefined, existsSync);
  return {
    rootOption: root === '' ? '' : ` --root ${root}`,
    startCommand: [program, ...args].join(' '),
    file,
    machine: { interfaces: here.interfaces, standsOn: cardsBelow(here.interfaces), tables, routers },
    silent,
    ...tried,
    explored,
    daemon,
    volumes,
    mirrors,
    system: gatherSystem(),
    servers: await gatherServers(context, daemon),
    ...(await gatherGates(context, daemon)),
    applications: await gatherApplications(context, file),
    backups: await gatherBackups(context, daemon),
    upkeep: gatherUpkeep(root),
    nowMs: context.clock.wallMs(),
    version: programVersion(),
  };
}

async function exploreNamespaces(config: RscltConfig, here: ThisMachine): Promise<Finding[]> {
  const { clock, sockets, random, interfaces } = here;
  const locals = config.interfaces.flatMap(({ name, address }) => {
    const machine = interfaceOf(address, interfaces);
    return machine === null || !machine.hasCarrier ? [] : [{ name, address, broadcast: machine.broadcast }];
  });
  const explorations = await Promise.all(
    config.namespaces.map((namespace) => {
      const { namespaceid, namespacekey, servers } = namespace;
      const port = targetPort(config, namespace, { port: null }, { portGiven: null });
      const targets = servers.map((server) => ({ address: server.address, port: server.port ?? port }));
      return explore({ locals, port, targets, namespacekey, namespaceid, clock, sockets, random });
    }),
  );
  return explorations.flatMap(({ findings }) => findings);
}

type Problems = FileFacts['problems'];

export function gatherFile(path: string): FileFacts {
  const unread = { path, document: null, trouble: null, problems: [], warnings: [], config: null, ...rightsOf(path) };
  let text: string;
  try {
    ({ text } = readConfigFile(path));
  } catch (thrown) {
    const { code, message, context } = toRsError(thrown);
    const problems = problemsIn(context);
    return problems === null ? { ...unread, trouble: { code, message } } : { ...unread, problems };
  }
  const { config, problems, warnings } = examineRscltConfig(text, path);
  return { ...unread, document: parseIni(text), config, problems, warnings };
}

function rightsOf(path: string): Pick<FileFacts, 'mode' | 'modifiedMs'> {
  try {
    const { mode, mtimeMs } = statSync(path);
    return { mode: mode & 0o7777, modifiedMs: mtimeMs };
  } catch {
    return { mode: null, modifiedMs: null };
  }
}

/**
 * Returns the list of problems from the context of the error that the configuration reader has thrown; null if the context contains no
 * list.
 */
function problemsIn({ problems }: Readonly<Record<string, unknown>>): Problems | null {
  return Array.isArray(problems) ? (problems as Problems) : null;
}
