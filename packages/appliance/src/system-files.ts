// The files of the system that the settings become: for systemd-networkd, the resolver, the clock, and the mounts of pools. Pure. Invariant:
// all files are below /run or in the overlay of the root, so that a boot makes them again from the settings alone.

import type { Settings } from './settings.ts';

/** Begins the names of files that are removed when the settings no longer have them. */
export const NETWORK_PREFIX = '10-rsio-';

export function mountPointOf(pool: string): string {
  return `/srv/${pool}`;
}

/** The folder that rssrv serves. It is not the mount point, so that a pool whose disks are missing has no folder. */
export function poolFolderOf(pool: string): string {
  return `${mountPointOf(pool)}/volumes`;
}

/** Name of the unit that mounts a pool, with the characters that systemd requires. */
export function mountUnitOf(pool: string): string {
  const escaped = pool.replaceAll(/[^A-Za-z0-9_.]/g, (one) => `\\x${one.charCodeAt(0).toString(16)}`);
  return `srv-${escaped}.mount`;
}

/** Returns the text of each file, by path. */
export function systemFiles({ hostname, interfaces, dns, ntp, pools }: Settings): ReadonlyMap<string, string> {
  const files = new Map<string, string>([
    ['/etc/hostname', `${hostname}\n`],
    ['/etc/hosts', `127.0.0.1 localhost\n127.0.1.1 ${hostname}\n::1 localhost ip6-localhost\n`],
    ['/run/systemd/resolved.conf.d/rsio.conf', dns.length === 0 ? '' : `[Resolve]\nDNS=${dns.join(' ')}\n`],
    ['/run/systemd/timesyncd.conf.d/rsio.conf', ntp.length === 0 ? '' : `[Time]\nNTP=${ntp.join(' ')}\n`],
  ]);
  for (const { mac, addresses, gateway } of interfaces) {
    const lines = [
      ...(addresses.length === 0 ? ['DHCP=yes'] : addresses.map((one) => `Address=${one}`)),
      ...(gateway === null ? [] : [`Gateway=${gateway}`]),
    ];
    files.set(
      `/run/systemd/network/${NETWORK_PREFIX}${mac.replaceAll(':', '')}.network`,
      `[Match]\nMACAddress=${mac}\nType=ether\n\n[Network]\n${lines.join('\n')}\n`,
    );
  }
  for (const { name, fileSystem } of pools) {
    const mount = `[Mount]\nWhat=/dev/disk/by-uuid/${fileSystem}\nWhere=${mountPointOf(name)}\nType=xfs\nOptions=noatime\n`;
    files.set(`/run/systemd/system/${mountUnitOf(name)}`, `[Unit]\nDescription=Pool ${name}\n\n${mount}`);
  }
  const units = pools.map(({ name }) => mountUnitOf(name)).join(' ');
  files.set('/run/systemd/system/rssrv.service.d/pools.conf', units === '' ? '' : `[Unit]\nWants=${units}\nAfter=${units}\n`);
  return files;
}
