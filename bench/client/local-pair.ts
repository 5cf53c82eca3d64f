// A server and a client on this machine, with one path over loopback, so that no link is measured. The server offers the data file as a
// volume. The client has this volume as an NBD export and, if the machine allows devices, as raw and block device.

import { keyOf, startClient, startServer } from '@rsio/test/support/hosts/configs';
import { DeviceHost, whyNoDevices } from '@rsio/test/support/devices/devices';
import type { Host } from '@rsio/test/support/hosts/host';
import type { Hosts, TestNetwork } from '@rsio/test/support/hosts/hosts';
import type { Place, RsioVolume, Target } from '../load/orders.ts';
import { dataFile, EXPORT, VOLUME } from '../scene.ts';
import { deviceTarget, type FioTarget, nbdTarget } from './fio-targets.ts';

export interface LocalPair {
  readonly file: string;
  readonly host: Host;
  readonly network: TestNetwork;
  /** The NBD socket, for the bench's own load generator. */
  readonly target: Target;
  readonly nbd: FioTarget;
  /** Raw and block device; empty if the machine allows none. */
  readonly devices: readonly FioTarget[];
  readonly noDevices: string | null;
}

export const NBD_SOCKET = 'rsiod, NBD socket';
const NAMESPACEID = 200;
const NODE = 'venus';

interface PairPlan {
  /** True: the client gets devices, and runs below a keeper. */
  readonly wantsDevices: boolean;
  /** Prefix of all command lines of a client without devices. */
  readonly command?: readonly string[];
  /** Further volumes of the server: maps the name of each volume to the keys of its section. */
  readonly besides?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Number of paths; default: 1. */
  readonly paths?: number;
}

export async function localPair(
  hosts: Hosts,
  parent: string,
  { wantsDevices, command = [], besides = {}, paths = 1 }: PairPlan,
): Promise<LocalPair> {
  const noDevices = wantsDevices ? whyNoDevices() : null;
  const machine = wantsDevices && noDevices === null ? new DeviceHost(hosts) : null;
  await machine?.ready;
  const host = machine?.host ?? hosts.host(command);
  const network = await hosts.network(paths);
  const file = dataFile(hosts, parent);
  await startServer(host, network, { volumes: { [VOLUME]: { path: file }, ...besides } });
  await startClient(host, network, { defaults: { device: machine === null ? 'nbd-socket' : 'block' } });
  await host.rsconfigWell('-a', VOLUME);
  const place = (name: string): string => `${host.root}/dev/av0/${name}`;
  const devices =
    machine === null
      ? []
      : [
          deviceTarget('rsiod, raw device', machine.command, place(`r${VOLUME}`)),
          deviceTarget('rsiod, block device', machine.command, place(VOLUME)),
        ];
  const target = { host: host.rsiodPaths.nbdSocket, port: null, volume: { kind: 'nbd', export: EXPORT } } as const;
  return { file, host, network, target, nbd: nbdTarget(NBD_SOCKET, host.nbdUri(EXPORT)), devices, noDevices };
}

/** Returns the place of a volume of the pair's server, for another client that opens its own session. */
export function besideTarget({ serverAddresses, port }: TestNetwork, volume: string): Place & { readonly volume: RsioVolume } {
  const login = { namespaceid: NAMESPACEID, nodes: [NODE], nodekey: keyOf(NODE) };
  return { host: serverAddresses[0] ?? '', port, volume: { kind: 'rsio', ...login, volumes: [volume] } };
}
