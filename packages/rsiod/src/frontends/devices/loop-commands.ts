// Orders to loop devices for which losetup has no option; helpers/loop-devices.pl has the system calls. Without Perl, losetup detaches the
// devices, and no claim is found. Invariant: a device in use is not marked for removal at its last close, unless the caller wants that.

import type { Clock } from '@rsio/base/lib/clock';
import { helperFile } from '../../sys/helper-files.ts';
import { runCommand } from '../system/device-commands.ts';
import { SharedLook } from '../system/shared-look.ts';

/** The result of an attempt to detach a loop device: `claimed` if a user in the kernel has claimed it, and nothing was changed. */
export type Detach = 'asked' | 'claimed';

async function helper(clock: Clock, order: 'claims' | 'detach' | 'keep', ...devices: readonly string[]): Promise<string | null> {
  return await runCommand(clock, 'perl', [helperFile('loop-devices.pl'), order, ...devices]).catch(() => null);
}

/**
 * Asks the kernel whether it has given devices to an exclusive user, such as a file system in a hidden mount namespace. Questions that arrive
 * while the helper runs share its next run, because rsiod asks about all of its devices before it ends.
 */
export class Claims {
  private readonly wanted = new Set<string>();
  private readonly looks: SharedLook<ReadonlySet<string>>;

  /** `ask`: returns those of the devices that are claimed. */
  constructor(ask: (devices: readonly string[]) => Promise<readonly string[]>) {
    this.looks = new SharedLook(async () => {
      const devices = [...this.wanted];
      this.wanted.clear();
      return new Set(await ask(devices));
    });
  }

  static ofMachine(clock: Clock): Claims {
    return new Claims(async (devices) => (await helper(clock, 'claims', ...devices))?.split('\n') ?? []);
  }

  async has(device: string): Promise<boolean> {
    this.wanted.add(device);
    return (await this.looks.ask()).has(device);
  }
}

/** Detaches an unused device. The kernel detaches a device that is only open when its last user closes it: see `keepAttached`. */
export async function detachUnused(clock: Clock, device: string): Promise<Detach> {
  const said = await helper(clock, 'detach', device);
  if (said === 'claimed') return 'claimed';
  if (said === null) await runCommand(clock, 'losetup', ['--detach', device]);
  return 'asked';
}

/** Takes back a detach that the kernel has not carried out yet. Returns false if that is not possible. */
export async function keepAttached(clock: Clock, device: string): Promise<boolean> {
  return (await helper(clock, 'keep', device)) === 'kept';
}
