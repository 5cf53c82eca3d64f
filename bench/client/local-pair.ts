// A server and a client on this machine with one path over loopback, and the data file as the volume of both, so that no link is measured.
// The client has the volume as NBD export and, if the machine allows devices, as raw and block device.

import { startClient, startServer } from '@rsio/test/support/hosts/configs';
import { DeviceHost, whyNoDevices } from '@rsio/test/support/devices/devices';
import type { Host } from '@rsio/test/support/hosts/host';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import type { Target } from '../load/orders.ts';
import { dataFile, EXPORT, VOLUME } from '../scene.ts';
import { deviceTarget, type FioTarget, nbdTarget } from './fio-targets.ts';

export interface LocalPair {
  readonly file: string;
  /** The host of both programs. */
  readonly host: Host;
  /** The NBD socket, for the bench's own load generator. */
  readonly target: Target;
  readonly nbd: FioTarget;
  /** Raw and block device; empty if the machine allows none. */
  readonly devices: readonly FioTarget[];
  readonly noDevices: string | null;
}

export const NBD_SOCKET = 'rsiod, NBD socket';

/** `wantsDevices`: a client with devices runs below a keeper. `command`: prefix of all command lines of a client without devices. */
export async function localPair(
  hosts: Hosts,
  parent: string,
  { wantsDevices, command = [] }: { readonly wantsDevices: boolean; readonly command?: readonly string[] },
): Promise<LocalPair> {
  const noDevices = wantsDevices ? whyNoDevices() : null;
  const machine = wantsDevices && noDevices === null ? new DeviceHost(hosts) : null;
  await machine?.ready;
  const host = machine?.host ?? hosts.host(command);
  const network = await hosts.network(1);
  const file = dataFile(hosts, parent);
  await startServer(host, network, { volumes: { [VOLUME]: { path: file } } });
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
  return { file, host, target, nbd: nbdTarget(NBD_SOCKET, host.nbdUri(EXPORT)), devices, noDevices };
}
