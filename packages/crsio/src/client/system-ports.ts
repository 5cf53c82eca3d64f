// Implements the ports of the client's part for the real program: configuration file, interfaces, sockets, and the control sockets of rsiod and rsapp.
// Invariant: each port makes one library call; the files in work/ decide the order of the calls.

import { randomBytes, randomUUID } from 'node:crypto';
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { openConfigFile, saveConfigFile } from '@rsio/common/config/config-file';
import { parseIni, printIni } from '@rsio/common/config/reader/ini-document';
import { daemonPaths, type RsiodPaths } from '@rsio/common/config/root-paths';
import type { ClientNamespaceConfig, RscltConfig } from '@rsio/common/config/schema/types';
import { callApp } from '@rsio/api/rsapp/call-app';
import { callControl } from '@rsio/api/rsiod/call-rsiod';
import { startDaemon } from '@rsio/common/control/start-daemon';
import { udpSockets } from '@rsio/protocol/explorer/datagram-sockets';
import { examine } from '@rsio/protocol/explorer/examine';
import type { ExploreLocal, ExploreOptions } from '@rsio/protocol/explorer/exploration';
import { explore } from '@rsio/protocol/explorer/explorer';
import {
  type ByteCounters,
  interfaceOf,
  type MachineInterface,
  machineInterfaces,
  readCounters,
  systemFacts,
} from '@rsio/protocol/explorer/interfaces';
import type { ProbeLocal, ProbePorts } from '@rsio/protocol/explorer/probe-report';
import { systemClock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { prefixLengthOf } from '@rsio/base/lib/subnet';
import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import { tcpConnector } from '@rsio/protocol/link/tcp-transport';
import type { Ports } from './model/ports.ts';
import { identifyServer, serverkeyAt } from './server-identification.ts';

const machine = (): MachineInterface[] => machineInterfaces(systemFacts);

/** True if this process may create files in the directory of the configuration file, or may create that directory. */
export function mayWrite(configFile: string): boolean {
  let folder = dirname(configFile);
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Returns the ports of the real program. */
export function systemPorts({ root, configFile, controlSocket }: RsiodPaths): Ports {
  const appSocket = daemonPaths(root, 'rsapp').controlSocket;
  return {
    clock: systemClock,
    readFile: () => {
      const { document, fingerprint } = openConfigFile(configFile);
      return { text: printIni(document), fingerprint };
    },
    saveFile: (text, before) => ({ text, fingerprint: saveConfigFile(configFile, parseIni(text), before).fingerprint }),
    machine,
    explore: (config, { address, port, namespacekey }, onFound) => {
      const at = port ?? config.defaultPort ?? PORT_DEFAULT;
      return explore({ ...exploreBase(config, at, address === null ? [] : [address]), namespacekey, namespaceid: null, onFound });
    },
    exploreNamespace: (config, name, addresses) => {
      const { namespaceid, namespacekey, port } = namespaceOf(config, name);
      return explore({ ...exploreBase(config, port ?? config.defaultPort ?? PORT_DEFAULT, addresses), namespacekey, namespaceid });
    },
    examine: (config, name, { namespaceid, serverid, interfaces, heard }, onReport) => {
      const namespace = namespaceOf(config, name);
      const { nodename, nodekey, paths, tls } = namespace;
      const addresses = interfaces.map(({ address }) => address);
      const serverkey = serverkeyAt(namespace, addresses);
      return examine({
        locals: probeLocals(config),
        remotes: interfaces,
        choice: paths === 'all' ? 'all' : 'auto',
        login: { nodename, nodekey, serverkey, tls },
        // An address from a discovery answer must be in the server's list of interfaces. An address that the user entered need not be
        // listed, because NAT may translate the address.
        expected: { namespaceid, serverid, isNamed: heard.length > 0 },
        ports: probePorts(namespace),
        onReport,
      });
    },
    identify: (config, name, address) => {
      const namespace = namespaceOf(config, name);
      return identifyServer({ config, namespace, locals: probeLocals(config), ports: probePorts(namespace) }, address);
    },
    newId: () => randomUUID(),
    startDaemon: async () => {
      const messages: string[] = [];
      await startDaemon(root, (sentence) => void messages.push(sentence)).catch((thrown: unknown) => {
        const { code, message } = toRsError(thrown);
        throw new RsError(code, [...messages, message].join('. '));
      });
    },
    call: (method, params) => callControl(controlSocket, method, params),
    callApp: (method, params) => callApp(appSocket, method, params),
  };
}

type ExploreBase = Omit<ExploreOptions, 'namespacekey' | 'namespaceid'>;

function exploreBase({ interfaces }: RscltConfig, port: number, addresses: readonly string[]): ExploreBase {
  const present = machine();
  const locals = interfaces.map(({ name, address }): ExploreLocal => {
    return { name, address, broadcast: interfaceOf(address, present)?.broadcast ?? null };
  });
  const targets = addresses.map((address) => ({ address, port }));
  return { locals, port, targets, clock: systemClock, sockets: udpSockets, random: randomBytes };
}

function probeLocals({ interfaces }: RscltConfig): ProbeLocal[] {
  const present = machine();
  return interfaces.map(({ name, address, prefixLength }) => {
    return { name, address, prefixLength: prefixLengthOf(address, prefixLength, interfaceOf(address, present)?.prefixLength ?? null) };
  });
}

function probePorts({ namespacekey }: ClientNamespaceConfig): ProbePorts {
  return {
    connector: tcpConnector,
    clock: systemClock,
    random: randomBytes,
    sockets: udpSockets,
    namespacekey,
    machine: machine(),
    counters,
  };
}

function counters(): ReadonlyMap<string, ByteCounters> {
  const read = systemFacts.devices().map((device) => [device, readCounters(device, systemFacts)] as const);
  return new Map(read.flatMap(([device, counted]) => (counted === null ? [] : [[device, counted] as const])));
}

function namespaceOf(config: RscltConfig, name: string): ClientNamespaceConfig {
  const namespace = config.namespaces.find((each) => each.name === name);
  if (namespace === undefined) throw new RsError('E_CONFIG', `No namespace ${name} in ${config.file}: add it first`);
  return namespace;
}
