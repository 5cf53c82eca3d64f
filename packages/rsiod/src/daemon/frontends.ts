// The fourth phase of the objects of rsiod: the frontends, which are devices, the NBD socket and gates. Invariant: the order matters, because the daemon reports the device of
// the first frontend that shows a volume. To add a kind of frontend, add it here.

import { type EffectiveVolume, effectiveVolumeOf } from '@rsio/common/config/effective-volume';
import { CUT_STATE } from '@rsio/api/rsiod/methods';
import { GateOffers } from '../attachments/gate-offers.ts';
import { labelOf } from '../attachments/offers.ts';
import { DeviceFrontend } from '../frontends/devices/devices.ts';
import { Frontends } from '../frontends/frontends.ts';
import { NbdFrontend } from '../frontends/nbd/nbd-frontend.ts';
import { deviceFacts } from '../frontends/system/device-choice.ts';
import { audienceOf, takeFromPrograms } from '../frontends/audience.ts';
import type { GateFrontends } from '../frontends/gate-frontends.ts';
import { PROGRAMS_RETURN_MS } from '../frontends/limits.ts';
import type { Audience, FrontendVolume } from '../volumes/frontend-volume.ts';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import type { ClientDaemonOptions, Foundation } from './foundation.ts';
import type { ServersPhase } from './servers.ts';
import type { VolumesPhase } from './volumes.ts';

export interface FrontendsPhase {
  readonly frontends: Frontends;
  readonly nbd: NbdFrontend;
  readonly gates: GateFrontends;
  readonly gateOffers: GateOffers;
  /** Decides whether programs of this machine or hosts of its gates get a volume; undefined: both, because nobody can write to it. */
  readonly shownTo: (volume: FrontendVolume) => Promise<Audience | undefined>;
}

export function newFrontends(
  { paths, clock, log, warn, newGates }: ClientDaemonOptions,
  { current, kept, notifications, offers, role, volumes, record }: Foundation & ServersPhase & VolumesPhase,
): FrontendsPhase {
  const { config } = current;
  const settingsOf = (volume: Pick<FrontendVolume, 'namespace' | 'name'>): EffectiveVolume => effectiveVolumeOf(current.config, volume);
  const devices = new DeviceFrontend({
    clock,
    log,
    ...paths,
    kept,
    isOwn: (label) => role.isOwn(label),
    facts: () => deviceFacts(paths.root),
    settingsOf,
    label: labelOf,
    dataLost: (volume, sentence) => {
      warn(sentence);
      if (volume !== null) notifications.add(`volume ${labelOf(volume)}`, 'attached before', CUT_STATE, sentence);
    },
  });
  const nbd = new NbdFrontend({
    socketPath: paths.nbdSocket,
    group: config.nbdGroup,
    attached: () => volumes.list,
    // If the configuration changes to `device = none` while a volume has devices, the volume stays exported over NBD until its devices are
    // removed.
    mayExport: (volume) => {
      const isExported = settingsOf(volume).device !== 'none' || devices.shownAs(volume) !== null;
      return volume.shownTo === 'orders' || (volume.shownTo !== 'gates' && isExported);
    },
    log,
    clock,
    ...role.nbdOptions(),
  });
  /** Until when programs that had a volume before a restart may come back. */
  const returnMs = new WeakMap<FrontendVolume, number>();
  const fromPrograms = takeFromPrograms([nbd, devices], {
    mayReturn: (volume) => clock.monotonicMs() < (returnMs.get(volume) ?? 0),
    taken: () => record.save(),
  });
  const gateOffers = new GateOffers(offers);
  const gates = newGates({
    clock,
    log,
    paths,
    config,
    isSettled: () => record.isSettled,
    servers: gateOffers,
    takeFromPrograms: fromPrograms,
    nodeOf: (namespace) => current.config.namespaces.find(({ name }) => name === namespace)?.nodename ?? '',
    namespaceid: () => current.config.namespaces[0]?.namespaceid ?? 0,
  });
  const shownTo = async (volume: FrontendVolume): Promise<Audience | undefined> => {
    const before = record.audienceOf(volume);
    if (before === 'programs') returnMs.set(volume, clock.monotonicMs() + PROGRAMS_RETURN_MS);
    const hasDevice = settingsOf(volume).device !== 'none';
    const facts = {
      isReadonly: volume.readonly || isSnapshot(volume.name),
      hasDevice,
      before,
      isClaimed: gates.claims(volume, before),
    };
    const release = (): Promise<void> => devices.release(volume, 'a gate of this machine offers it to hosts', false);
    const audience = await audienceOf(facts, release);
    if (audience !== 'gates') return audience;
    const label = labelOf(volume);
    const remedy = `to use it here, remove it from volumes of its [gate], then run rsconfig reload, rsconfig -d ${label} and rsconfig -a ${label}`;
    if (hasDevice) log.info(`${label} has no device here, because a gate offers it to hosts: ${remedy}`);
    return 'gates';
  };
  return { frontends: new Frontends([devices, nbd, ...gates.frontends]), nbd, gates, gateOffers, shownTo };
}
