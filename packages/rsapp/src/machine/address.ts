// Adds and removes the address that moves along with an application, and announces it to the network (gratuitous ARP), so that other machines
// send to this one. Invariant: removing is complete only when no device of this machine has the address.

import { RsError } from '@rsio/common/lib/errors';
import { ARP_PACKETS } from '../limits.ts';
import { helperFile } from './helper-files.ts';
import { type RunProgram, runWell } from './programs.ts';

export interface MovingAddress {
  readonly address: string;
  readonly prefix: number;
  readonly device: string | null;
}

interface Place {
  readonly device: string;
  readonly address: string;
  readonly prefix: number;
}

export class Addresses {
  private readonly run: RunProgram;

  constructor(run: RunProgram) {
    this.run = run;
  }

  async isHere({ address }: MovingAddress): Promise<boolean> {
    return (await this.places()).some((place) => place.address === address);
  }

  /** Returns a warning if the address could not be announced; null if it was. */
  async add(moving: MovingAddress): Promise<string | null> {
    const { address, prefix } = moving;
    const places = await this.places();
    const there = places.find((place) => place.address === address);
    const device = there?.device ?? moving.device ?? deviceFor(moving, places);
    if (device === null)
      throw new RsError('E_CONFIG', `No device of this machine has an address of the subnet of ${address}/${prefix}: set address-device`);
    if (there === undefined)
      await runWell(this.run, `Adding address ${address}`, 'ip', ['address', 'add', `${address}/${prefix}`, 'dev', device]);
    return address.includes(':') ? null : await this.announce(address, device);
  }

  private async announce(address: string, device: string): Promise<string | null> {
    const link = await runWell(this.run, `Reading device ${device}`, 'ip', ['-o', 'link', 'show', 'dev', device]);
    const [, index = '', mac = ''] = /^(\d+): .* link\/ether ([0-9a-f:]{17}) /.exec(link) ?? [];
    // A device without Ethernet has no ARP.
    if (mac === '') return null;
    const { code, stderr } = await this.run('perl', [helperFile('announce.pl'), index, mac, address, String(ARP_PACKETS)]);
    return code === 0 ? null : `Address ${address} was not announced by ARP: ${stderr.trim().split('\n').at(-1) ?? ''}`;
  }

  async remove({ address }: MovingAddress): Promise<void> {
    for (const place of await this.places())
      if (place.address === address)
        await runWell(this.run, `Removing address ${address}`, 'ip', ['address', 'del', `${address}/${place.prefix}`, 'dev', place.device]);
  }

  private async places(): Promise<Place[]> {
    return placesIn(await runWell(this.run, 'Reading the addresses', 'ip', ['-o', 'address', 'show']));
  }
}

/** Reads lines such as `2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0`. */
export function placesIn(text: string): Place[] {
  return [...text.matchAll(/^\d+: (\S+)\s+inet6? ([0-9a-fA-F.:]+)(?: peer \S+?)?\/(\d+) /gm)].map(
    ([, device = '', address = '', prefix]) => ({
      device: device.replace(/@.*$/, ''),
      address,
      prefix: Number(prefix),
    }),
  );
}

function deviceFor({ address, prefix }: MovingAddress, places: readonly Place[]): string | null {
  const own = networkOf(address, prefix);
  if (own === null) return null;
  return places.find((place) => place.prefix === prefix && networkOf(place.address, prefix) === own)?.device ?? null;
}

/** The network of an IPv4 address as a number; null for IPv6, which needs `address-device`. */
function networkOf(address: string, prefix: number): number | null {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4) return null;
  const number = parts.reduce((sum, part) => sum * 256 + part, 0);
  return Math.floor(number / 2 ** (32 - prefix));
}
