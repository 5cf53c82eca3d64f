// A path from the guest to a target, through a proxy at the loopback address, which the guest can reach. The proxy cuts the path and holds
// bytes back.

import { ChaosProxy, type ProxyEnd } from '../../support/faults/chaos-proxy.ts';
import type { Hosts } from '../../support/hosts/hosts.ts';
import { freePort } from '../../support/hosts/loopback.ts';

export interface GuestPath {
  readonly proxy: ChaosProxy;
  /** Port at which the guest connects. */
  readonly port: number;
}

const LOCAL = '127.0.0.1';

/** Makes one path to each target. */
export async function guestPaths(hosts: Hosts, targets: readonly [ProxyEnd, ProxyEnd]): Promise<readonly [GuestPath, GuestPath]> {
  return [await guestPath(hosts, targets[0]), await guestPath(hosts, targets[1])];
}

async function guestPath(hosts: Hosts, target: ProxyEnd): Promise<GuestPath> {
  const [proxy, port] = [new ChaosProxy(target), await freePort(LOCAL)];
  await proxy.start({ address: LOCAL, port });
  hosts.onClean(() => proxy.close());
  return { proxy, port };
}
