// Decides whether programs of this machine or hosts of its gates get a volume, and takes it from programs for hosts. Invariant: programs and hosts never have a volume
// that they may write at the same time. A program that uses the volume keeps it, and the gate tries again later. What programs had before a
// restart of rsiod stays with programs, because their NBD connections have ended with rsiod, and come back.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { Frontend } from './frontend.ts';
import type { Audience, FrontendVolume } from '../volumes/frontend-volume.ts';
import { PROGRAMS_RETURN_MS } from './limits.ts';

/** Who had a volume before a restart of rsiod. `unknown`: an earlier release has not recorded it; null: it was not attached. */
export type EarlierAudience = Audience | 'unknown' | null;

/** `isClaimed`: a gate whose hosts may write wants the volume. */
export interface AudienceFacts {
  readonly isReadonly: boolean;
  readonly hasDevice: boolean;
  readonly isClaimed: boolean;
  readonly before: EarlierAudience;
}

/**
 * Decides who gets a volume that is being attached; undefined: programs and hosts, because nobody can write to it. `release`: removes the
 * devices that an earlier process has left, and throws E_IN_USE if a program uses them by then, which keeps the volume.
 */
export async function audienceOf(facts: AudienceFacts, release: () => Promise<void>): Promise<Audience | undefined> {
  const { isReadonly, hasDevice, isClaimed, before } = facts;
  if (isReadonly) return undefined;
  // Without a device and an export, no program can use the volume.
  if (before === 'programs' || (hasDevice && !isClaimed)) return 'programs';
  try {
    await release();
  } catch (thrown) {
    if (toRsError(thrown).code === 'E_IN_USE') return 'programs';
    throw thrown;
  }
  return 'gates';
}

/**
 * `isShown`: false once the volume is being detached, so that it must not be shown to anyone. `isWanted`: false once the gate would not offer
 * the volume.
 */
export type TakeFromPrograms = (
  gate: Pick<ClientGateConfig, 'name' | 'volumes'>,
  volume: FrontendVolume,
  isShown: () => boolean,
  isWanted: () => boolean,
) => Promise<void>;

export interface TakingPorts {
  /** True shortly after a restart of rsiod, if programs had the volume before. */
  readonly mayReturn: (volume: FrontendVolume) => boolean;
  /** Records that the volume is for hosts now. */
  readonly taken: () => Promise<void>;
}

/**
 * `frontends`: those of programs. The function throws E_IN_USE while a program uses the volume, and for a gate that names no volumes, because
 * nobody has said then that the volume is not for programs. If it throws, programs have what they had.
 */
export function takeFromPrograms(frontends: readonly Frontend[], { mayReturn, taken }: TakingPorts): TakeFromPrograms {
  /** Gates take a volume one after another, because a gate that fails shows the volume to programs again. */
  const turns = new WeakMap<FrontendVolume, Promise<unknown>>();
  const take: TakeFromPrograms = async (gate, volume, isShown, isWanted) => {
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
    const giveBack = async (): Promise<void> => {
      for (const frontend of hidden) if (isShown()) await frontend.show(volume);
    };
    try {
      for (const frontend of isShown() ? frontends : []) {
        hidden.push(frontend);
        await frontend.hide(volume, false);
      }
    } catch {
      // A program was faster.
      await giveBack();
      throw inUseHere(['a program']);
    }
    if (!isShown()) throw new RsError('E_VOLUME', 'it is being detached');
    if (!isWanted()) {
      await giveBack();
      throw new RsError('E_VOLUME', 'its gate has changed meanwhile');
    }
    volume.shownTo = 'gates';
    await taken();
  };
  return async (gate, volume, ...facts) => {
    const mine = (turns.get(volume) ?? Promise.resolve()).then(() => take(gate, volume, ...facts));
    turns.set(
      volume,
      mine.catch(() => undefined),
    );
    await mine;
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
