// Decides whether programs of this machine or hosts of its gates get a volume, and takes it from programs for hosts. Invariant: programs and hosts never have a volume
// that they may write at the same time. A program that uses the volume keeps it, and the gate tries again later.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { volumeLabel } from '@rsio/common/lib/volume-name';
import type { Frontend } from '../frontends/frontend.ts';
import type { Audience, FrontendVolume } from '../volumes/frontend-volume.ts';

/** `isClaimed`: a gate whose hosts may write wants the volume. `users`: programs of this machine that use a device left by an earlier process. */
export interface AudienceFacts {
  readonly isReadonly: boolean;
  readonly hasDevice: boolean;
  readonly isClaimed: boolean;
  readonly users: readonly string[];
}

/** Decides who gets a volume that is being attached; undefined: programs and hosts, because nobody can write to it. */
export function decideAudience({ isReadonly, hasDevice, isClaimed, users }: AudienceFacts): Audience | undefined {
  if (isReadonly) return undefined;
  // Without a device and an export, no program can use the volume.
  return users.length === 0 && (isClaimed || !hasDevice) ? 'gates' : 'programs';
}

export type TakeFromPrograms = (gate: Pick<ClientGateConfig, 'name' | 'volumes'>, volume: FrontendVolume) => Promise<void>;

/**
 * `frontends`: those of programs. The function throws E_IN_USE while a program uses the volume, and for a gate that names no volumes, because
 * nobody has said then that the volume is not for programs.
 */
export function takeFromPrograms(frontends: readonly Frontend[]): TakeFromPrograms {
  return async ({ name, volumes }, volume) => {
    if (volume.shownTo !== 'programs') return;
    const label = volumeLabel(volume);
    if (volumes === 'all')
      throw new RsError(
        'E_IN_USE',
        `programs of this machine may use it: add ${label} to volumes of [gate ${name}], and reload (rsconfig reload)`,
      );
    const users = (await Promise.all(frontends.map((frontend) => frontend.usersOf(volume)))).flat();
    if (users.length > 0) throw inUseHere(users);
    const hidden: Frontend[] = [];
    try {
      for (const frontend of frontends) {
        hidden.push(frontend);
        await frontend.hide(volume, false);
      }
    } catch {
      // A program was faster.
      for (const frontend of hidden) await frontend.show(volume);
      throw inUseHere(['a program']);
    }
    volume.shownTo = 'gates';
  };
}

function inUseHere(users: readonly string[]): RsError {
  return new RsError('E_IN_USE', `programs of this machine use it (${users.join(', ')}): end that, and the gate takes it by itself`);
}
