// Adds and removes the address that moves along with an application, and announces it to the network (gratuitous ARP), so that other machines
// send to this one. Invariants: removing is complete only when no device of this machine has the address, however it is written. An address
// counts as added only when programs can use it, because the kernel first asks whether another machine has an IPv6 address.

import { sleep } from '@rsio/base/lib/waiting';
import { toAddress, type Address } from '@rsio/base/lib/address';
import type { Clock } from '@rsio/base/lib/clock';
import { isSameSubnet } from '@rsio/base/lib/subnet';
import { RsError } from '@rsio/base/lib/errors';
import { ADDRESS_LOOK_MS, ADDRESS_USABLE_MAX_MS, ARP_PACKETS } from '../limits.ts';
import { runWell, type RunProgram } from './programs.ts';
import { fileURLToPath } from 'node:url';

export interface MovingAddress {
  readonly address: Address;
  readonly prefix: number;
  readonly device: string | null;
}

interface Place {
  readonly device: string;
  readonly address: Address;
  readonly prefix: number;
  /** `checked`: the kernel asks whether another machine has it. `duplicate`: another machine has it. */
  readonly state: 'usable' | 'checked' | 'duplicate';
}

export class Addresses {
  private readonly run: RunProgram;
  private readonly clock: Clock;

  constructor(run: RunProgram, clock: Clock) {
    this.run = run;
    this.clock = clock;
  }

  /** True if programs can use the address here. */
  async isHere({ address }: MovingAddress): Promise<boolean> {
    return (await this.places()).some((place) => place.address === address && place.state === 'usable');
  }

  /**
   * Resolves when programs can use the address. Returns a warning if the address could not be announced; null if it was. Throws E_BUSY if
   * another machine has the address, or if the kernel does not make it usable in time. The address is then not here, so that the next attempt
   * asks the network again: the last node may be about to remove it.
   */
  async add(moving: MovingAddress): Promise<string | null> {
    const { address, prefix } = moving;
    const places = await this.places();
    const found = places.find((place) => place.address === address);
    // The kernel asks once. It asks again only for an address that is added again.
    if (found?.state === 'duplicate') await this.remove(moving);
    const there = found?.state === 'duplicate' ? undefined : found;
    const device = found?.device ?? moving.device ?? deviceFor(moving, places);
    if (device === null)
      throw new RsError('E_CONFIG', `No device of this machine has an address of the subnet of ${address}/${prefix}: set address-device`);
    if (there === undefined)
      await runWell(this.run, `Adding address ${address}`, 'ip', ['address', 'add', `${address}/${prefix}`, 'dev', device]);
    if (!address.includes(':')) return await this.announce(address, device);
    try {
      await this.usable(address, device);
    } catch (thrown) {
      await this.remove(moving);
      throw thrown;
    }
    return null;
  }

  private async usable(address: Address, device: string): Promise<void> {
    const untilMs = this.clock.monotonicMs() + ADDRESS_USABLE_MAX_MS;
    for (;;) {
      const state = (await this.places()).find((place) => place.address === address)?.state;
      if (state === 'usable') return;
      if (state === 'duplicate')
        throw new RsError(
          'E_BUSY',
          `Another machine has address ${address} on the network of ${device} (duplicate address): remove it there`,
        );
      if (state === undefined)
        throw new RsError('E_BUSY', `Address ${address} was removed from ${device} by another program: stop that program`);
      if (this.clock.monotonicMs() >= untilMs)
        throw new RsError(
          'E_BUSY',
          `Address ${address} on ${device} is still tentative after ${ADDRESS_USABLE_MAX_MS / 1000} s: check that ${device} has a carrier (ip link)`,
        );
      await sleep(this.clock, ADDRESS_LOOK_MS);
    }
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

/** Reads lines such as `2: eth0    inet6 fd00::5/64 scope global dadfailed tentative`. */
export function placesIn(text: string): Place[] {
  return [...text.matchAll(/^\d+: (\S+)\s+inet6? ([0-9a-fA-F.:]+)(?: peer \S+?)?\/(\d+) (.*)$/gm)].flatMap(
    ([, device = '', written = '', prefix, rest = '']) => {
      const address = toAddress(written);
      const words = rest.split(/[\s\\]+/);
      const state = words.includes('dadfailed') ? 'duplicate' : words.includes('tentative') ? 'checked' : 'usable';
      return address === null ? [] : [{ device: device.replace(/@.*$/, ''), address, prefix: Number(prefix), state }];
    },
  );
}

function deviceFor({ address, prefix }: MovingAddress, places: readonly Place[]): string | null {
  return places.find((place) => place.prefix === prefix && isSameSubnet(place.address, prefix, address))?.device ?? null;
}

// Finds the Perl programs that rsapp runs, in this package's helpers/ folder. Invariant: the same relative path leads to that folder from this
// source file and from the bundled program. This file must therefore not move to a deeper folder.
function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
