// Gathers all that doctor judges: the file, this machine, every path tried, who answers exploration, the daemon. Nothing is judged here.
// Invariant: bounded in time, and each longer wait is told before it begins.

import { existsSync } from 'node:fs';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { startCommand } from '@rsio/common/control/start-daemon';
import { explore } from '@rsio/protocol/explorer/discovery/explorer';
import type { Finding } from '@rsio/protocol/explorer/discovery/finding';
import { interfaceOf } from '@rsio/protocol/explorer/network/interfaces';
import { targetPort } from '@rsio/common/config/reader/rscltcfg';
import { programVersion } from '@rsio/common/lib/version';
import type { CommandContext } from '../../cli/command-context.ts';
import { type MachinePorts, machinePorts } from '../../cli/machine-ports.ts';
import type { DoctorFacts } from '../facts/facts.ts';
import { cardsBelow } from './cards-below.ts';
import { gatherDaemon, gatherSystem, gatherVolumes } from './gather-daemon.ts';
import { gatherFile } from './gather-file.ts';
import { tryPaths } from './gather-paths.ts';
import { routersOfDevices, silentAddresses, tablesInUse } from './ip-command.ts';

export async function gatherFacts(context: CommandContext): Promise<DoctorFacts> {
  const ports = machinePorts(context.clock);
  const file = gatherFile(context.configFile);
  const [daemon, tables, routers, silent] = await Promise.all([
    gatherDaemon(context),
    tablesInUse(),
    routersOfDevices(),
    silentAddresses(),
  ]);
  const volumes = await gatherVolumes(context, daemon);
  const tried = file.config === null ? { paths: [], pathsNotTried: 0, leftOut: [] } : await tryPaths(file.config, ports, context.note);
  const explored = file.config === null ? [] : await exploreNamespaces(file.config, ports);
  const { root } = context.paths;
  const { program, args } = startCommand(root, undefined, existsSync);
  return {
    rootOption: root === '' ? '' : ` --root ${root}`,
    startCommand: [program, ...args].join(' '),
    file,
    machine: { interfaces: ports.interfaces, standsOn: cardsBelow(ports.interfaces), tables, routers },
    silent,
    ...tried,
    explored,
    daemon,
    volumes,
    system: gatherSystem(),
    version: programVersion(),
  };
}

/** What exploring each namespace finds. */
async function exploreNamespaces(config: RscltConfig, ports: MachinePorts): Promise<Finding[]> {
  const { clock, sockets, random, interfaces } = ports;
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
