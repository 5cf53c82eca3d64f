// Decides whether programs of this machine or hosts of its gates get a volume, and takes it from programs for hosts. Invariant: programs and hosts never have a volume
// that they may write at the same time. A program that uses the volume keeps it, and the gate tries again later. What programs had before a
// restart of rsiod stays with programs, because their NBD connections have ended with rsiod, and come back.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { volumeLabel } from '@rsio/common/lib/volume-name';
import type { Frontend } from '../frontends/frontend.ts';
import type { Audience, FrontendVolume } from '../volumes/frontend-volume.ts';
import { PROGRAMS_RETURN_MS } from './limits.ts';

/** Who had a volume before a restart of rsiod. `unknown`: an earlier release has not recorded it; null: it was not attached. */
export type EarlierAudience = Audience | 'unknown' | null;

/** `isClaimed`: a gate whose hosts may write wants the volume. `users`: programs of this machine that use a device left by an earlier process. */
export interface AudienceFacts {
  readonly isReadonly: boolean;
  readonly hasDevice: boolean;
  readonly isClaimed: boolean;
  readonly users: readonly string[];
  readonly before: EarlierAudience;
}

/** Decides who gets a volume that is being attached; undefined: programs and hosts, because nobody can write to it. */
export function decideAudience({ isReadonly, hasDevice, isClaimed, users, before }: AudienceFacts): Audience | undefined {
  if (isReadonly) return undefined;
  if (before === 'programs') return 'programs';
  // Without a device and an export, no program can use the volume.
  return users.length === 0 && (isClaimed || !hasDevice) ? 'gates' : 'programs';
}

/** `isShown`: false once the volume is being detached, so that it must not be shown to anyone. */
export type TakeFromPrograms = (
  gate: Pick<ClientGateConfig, 'name' | 'volumes'>,
  volume: FrontendVolume,
  isShown: () => boolean,
) => Promise<void>;

export interface TakingPorts {
  /** True shortly after a restart of rsiod, if programs had the volume before. */
  readonly mayReturn: (volume: FrontendVolume) => boolean;
  /** Records that the volume is for hosts now. */
  readonly taken: () => Promise<void>;
}

/**
 * `frontends`: those of programs. The function throws E_IN_USE while a program uses the volume, and for a gate that names no volumes, because
 * nobody has said then that the volume is not for programs.
 */
export function takeFromPrograms(frontends: readonly Frontend[], { mayReturn, taken }: TakingPorts): TakeFromPrograms {
  return async (gate, volume, isShown) => {
    if (volume.shownTo !== 'programs') return;
    refuseOfPrograms(gate, volume);
    if (mayReturn(volume))
      throw new RsError(
        'E_IN_USE',
        `programs of this machine had it before rsiod was started, and may come back: the gate takes it by itself after ${PROGRAMS_RETURN_MS / 1000} s`,
      );
    const users = (await Promise.all(frontends.map((frontend) => frontend.usersOf(volume)))).flat();
    if (users.length > 0) throw inUseHere(users);
    const hidden: Frontend[] = [];
    try {
      for (const frontend of isShown() ? frontends : []) {
        hidden.push(frontend);
        await frontend.hide(volume, false);
      }
    } catch {
      // A program was faster.
      for (const frontend of hidden) if (isShown()) await frontend.show(volume);
      throw inUseHere(['a program']);
    }
    if (!isShown()) throw new RsError('E_VOLUME', 'it is being detached');
    volume.shownTo = 'gates';
    await taken();
  };
}

/** Throws E_IN_USE if programs have the volume, and the gate does not name it. */
export function refuseOfPrograms({ name, volumes }: Pick<ClientGateConfig, 'name' | 'volumes'>, volume: FrontendVolume): void {
  if (volume.shownTo !== 'programs' || volumes !== 'all') return;
  throw new RsError(
    'E_IN_USE',
    `programs of this machine may use it: add ${volumeLabel(volume)} to volumes of [gate ${name}], and reload (rsconfig reload)`,
  );
}

function inUseHere(users: readonly string[]): RsError {
  return new RsError('E_IN_USE', `programs of this machine use it (${users.join(', ')}): end that, and the gate takes it by itself`);
}
