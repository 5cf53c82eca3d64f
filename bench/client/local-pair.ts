// Server and client on this machine with one path between them over loopback, and the data file as the volume of both sides: what is measured
// is not a link. The client shows the volume at its NBD socket and, where there can be devices, as raw and block device.

import { startClient, startServer } from '@rsio/test/support/configs';
import { DeviceHost, whyNoDevices } from '@rsio/test/support/devices';
import type { Host } from '@rsio/test/support/host';
import type { Hosts } from '@rsio/test/support/hosts';
import type { Target } from '../load/orders.ts';
import { dataFile, EXPORT, VOLUME } from '../scene.ts';
import { deviceDoor, type Door, nbdDoor } from './doors.ts';

export interface LocalPair {
  readonly file: string;
  /** Both programs are on it. */
  readonly host: Host;
  /** The NBD socket, for the bench's own load generator. */
  readonly target: Target;
  readonly nbd: Door;
  /** Raw and block device; none, and why. */
  readonly devices: readonly Door[];
  readonly noDevices: string | null;
}

export const NBD_SOCKET = 'rsiod, NBD socket';

/** `wantsDevices`: a client that may have some is another one, with a keeper above it. `command`: what all programs are run by without. */
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
          deviceDoor('rsiod, raw device', machine.command, place(`r${VOLUME}`)),
          deviceDoor('rsiod, block device', machine.command, place(VOLUME)),
        ];
  const target = { host: host.rsiodPaths.nbdSocket, port: null, volume: { kind: 'nbd', export: EXPORT } } as const;
  return { file, host, target, nbd: nbdDoor(NBD_SOCKET, host.nbdUri(EXPORT)), devices, noDevices };
}
