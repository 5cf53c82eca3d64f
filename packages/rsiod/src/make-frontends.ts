// Makes the frontends of the daemon: devices, the NBD socket and gates. Invariant: the order matters, because the daemon reports the device of
// the first frontend that shows a volume. To add a kind of frontend, add it here.

import { type EffectiveVolume, effectiveVolumeOf } from '@rsio/common/config/effective-volume';
import type { RsiodPaths } from '@rsio/common/config/root-paths';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/common/lib/clock';
import { programVersion } from '@rsio/common/lib/version';
import type { DaemonLog } from '@rsio/common/log/log';
import type { GateOffers } from './attachments/gate-offers.ts';
import { labelOf } from './attachments/offers.ts';
import { DeviceFrontend } from './frontends/devices/devices.ts';
import type { FrontendEvents } from './frontends/frontend.ts';
import { Frontends } from './frontends/frontends.ts';
import { NbdFrontend } from './frontends/nbd/nbd-frontend.ts';
import { deviceFacts } from './frontends/system/device-choice.ts';
import { AoeGates } from './gates/aoe/aoe-gates.ts';
import { Gates } from './gates/gates.ts';
import type { ProcessRole } from './processes/role.ts';
import type { FrontendVolume } from './volumes/frontend-volume.ts';

export interface FrontendsPorts {
  readonly paths: RsiodPaths;
  readonly clock: Clock;
  readonly log: DaemonLog;
  readonly role: ProcessRole;
  config(): RscltConfig;
  attached(): readonly FrontendVolume[];
  readonly gateOffers: GateOffers;
  /** True when the volumes of the previous process have been attached again. */
  isSettled(): boolean;
  readonly reportLoss: FrontendEvents['dataLost'];
}

export interface MadeFrontends {
  readonly all: Frontends;
  readonly nbd: NbdFrontend;
  readonly gates: Gates;
  readonly aoeGates: AoeGates;
}

export function makeFrontends(ports: FrontendsPorts): MadeFrontends {
  const { paths, clock, log, role } = ports;
  const config = ports.config();
  const settingsOf = (volume: Pick<FrontendVolume, 'namespace' | 'name'>): EffectiveVolume => effectiveVolumeOf(ports.config(), volume);
  const devices = new DeviceFrontend({
    clock,
    log,
    ...paths,
    kept: role.kept,
    isOwn: (label) => role.isOwn(label),
    facts: () => deviceFacts(paths.root),
    settingsOf,
    label: labelOf,
    events: { dataLost: ports.reportLoss },
  });
  const nbd: NbdFrontend = new NbdFrontend({
    socketPath: paths.nbdSocket,
    group: config.nbdGroup,
    attached: () => ports.attached(),
    // If the configuration changes to `device = none` while a volume has devices, the volume stays exported over NBD until its devices are
    // removed.
    mayExport: (volume) => volume.isForOrders === true || settingsOf(volume).device !== 'none' || devices.shownAs(volume) !== null,
    log,
    clock,
    ...role.nbdOptions(() => nbd),
  });
  const gates = new Gates({
    ...{ clock, log, version: programVersion(), numbersFile: paths.gatesFile, gates: role.isData ? [] : config.gates },
    isSettled: () => ports.isSettled(),
    servers: ports.gateOffers,
    nodeOf: (namespace) => ports.config().namespaces.find(({ name }) => name === namespace)?.nodename ?? '',
    namespaceid: () => ports.config().namespaces[0]?.namespaceid ?? 0,
  });
  const aoeGates = new AoeGates({
    ...{ clock, log, version: programVersion(), notesFile: paths.aoeFile, gates: role.isData ? [] : config.aoeGates },
  });
  return { all: new Frontends([devices, nbd, gates, aoeGates]), nbd, gates, aoeGates };
}
