// The settings of the appliance: network, time, password and pools, in one file on the configuration partition. Invariant: text that could
// leave its line in a file of the system, or a name that could leave its folder, does not fit the shape.

import { isIP, isIPv6 } from 'node:net';
import { StateFile, type StateForm } from '@rsio/base/files/state-file';
import { atMost, checked, list, object, type Of, orNull, textThat } from '@rsio/base/lib/shape';
import { isSameSubnet } from '@rsio/base/lib/subnet';
import { isName } from '@rsio/base/lib/units';
import { APPLIANCE_LIST_MAX_ENTRIES } from './limits.ts';
import { appliancePaths } from './machine.ts';

const HOST_NAME = /^(?=.{1,64}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$/;

export const isHostName = (text: string): boolean => HOST_NAME.test(text);
/** True for an address as systemd reads it: without brackets and zone. */
export const isAddress = (text: string): boolean => isIP(text) !== 0 && !text.includes('%');
/** True for an address with the length of its network, such as `192.168.45.10/24`. */
export function isCidr(text: string): boolean {
  const [address = '', length = '', ...more] = text.split('/');
  return isAddress(address) && /^\d{1,3}$/.test(length) && Number(length) <= (isIPv6(address) ? 128 : 32) && more.length === 0;
}
export const isZone = (text: string): boolean => /^[A-Za-z][\w+-]*(?:\/[\w+-]+){0,2}$/.test(text);
/** True for a name that can be a folder, a unit and an array: the name of a pool that begins with a letter or digit. */
export const isPoolName = (text: string): boolean => isName(text) && /^[A-Za-z0-9][\w.-]{0,31}$/.test(text);
const isCard = (text: string): boolean => /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(text);
const isUuid = (text: string): boolean => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
const isHash = (text: string): boolean => /^\$[\w./$=,+-]{10,255}$/.test(text);

function some<T>(of: Parameters<typeof list<T>>[0]): ReturnType<typeof list<T>> {
  return atMost(APPLIANCE_LIST_MAX_ENTRIES, list(of));
}

const POOLS = some(object({ name: textThat(isPoolName, 'the name of a pool'), fileSystem: textThat(isUuid, 'the UUID of a file system') }));

const INTERFACE = object({
  /** The kernel may rename an interface when a disk is put into the machine, but the card keeps its MAC address. */
  mac: textThat(isCard, 'the MAC address of a network card'),
  addresses: some(textThat(isCidr, 'an address with the length of its network')),
  gateway: orNull(textThat(isAddress, 'an address')),
});

/** networkd does not configure an interface whose gateway it cannot reach. */
function gatewayFault({ addresses, gateway }: Of<typeof INTERFACE>): string | null {
  if (gateway === null) return null;
  if (addresses.length === 0) return 'has a gateway and no address: without addresses, DHCP gives the gateway';
  const isNear = ['fe80::/10', ...addresses].some((one) => {
    const [address = '', length] = one.split('/');
    return isSameSubnet(address, Number(length), gateway);
  });
  return isNear ? null : `has the gateway ${gateway}, which is not in the network of an address`;
}

export const SETTINGS = object({
  hostname: textThat(isHostName, 'a host name: letters, digits, - and dots'),
  /** Interfaces without an entry use DHCP. An entry without addresses also uses DHCP. */
  interfaces: some(checked(INTERFACE, gatewayFault)),
  dns: some(textThat(isAddress, 'an address')),
  zone: textThat(isZone, 'a time zone'),
  ntp: some(textThat((text) => isHostName(text) || isAddress(text), 'a host name or an address')),
  /** As in /etc/shadow; null: no password, and no login over the network. */
  passwordHash: orNull(textThat(isHash, 'a hashed password')),
  pools: checked(POOLS, (pools) => (new Set(pools.map(({ name }) => name)).size < pools.length ? 'has a name twice' : null)),
});
export type Settings = Of<typeof SETTINGS>;

export const FIRST_SETTINGS: Settings = {
  hostname: 'rsio',
  interfaces: [],
  dns: [],
  zone: 'Etc/UTC',
  ntp: [],
  passwordHash: null,
  pools: [],
};

const FORM: StateForm<Settings> = {
  version: 1,
  shape: SETTINGS,
  remedy: 'restore a saved configuration with rsadm appliance restore, or remove the file to begin with the first settings',
};

/** Throws E_SYSTEM if the file is damaged. */
export async function readSettings(root: string): Promise<Settings> {
  return (await new StateFile(appliancePaths(root).settings, FORM, () => FIRST_SETTINGS).load()) ?? FIRST_SETTINGS;
}

export function writeSettings(root: string, settings: Settings): Promise<void> {
  return new StateFile(appliancePaths(root).settings, FORM, () => settings).save();
}
