// The last phase of the objects of rsiod: what asks and orders from outside reach, which is the control interface, the metrics, reloads and
// the end of the daemon.

import { sleep } from '@rsio/base/lib/waiting';
import { randomUUID } from 'node:crypto';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { Backups } from '../control/backups.ts';
import { CommandWorks } from '../control/command-works.ts';
import { ClientMetrics } from '../control/client-metrics.ts';
import { controlHandlers } from '../control/control-handlers.ts';
import { type ProcessFigures, processFigures } from '../control/process-figures.ts';
import { ServerCalls } from '../control/server-calls.ts';
import { systemPathProbes } from '../control/system-probes.ts';
import { mirrorCommands } from '../mirrors/commands/mirror-commands.ts';
import { MirrorHealing } from '../mirrors/healing/healing.ts';
import { mirrorNamespaces } from '../mirrors/commands/namespaces.ts';
import type { MirrorMoments } from '../mirrors/commands/mirror-moments.ts';
import { VolumeNotes } from '../notes/volume-notes.ts';
import type { AttachingPhase } from './attaching.ts';
import { Ends } from './ends.ts';
import type { ClientDaemonOptions, Foundation } from './foundation.ts';
import type { FrontendsPhase } from './frontends.ts';
import { Reloads } from './reloads.ts';
import type { ServersPhase } from './servers.ts';
import type { VolumesPhase } from './volumes.ts';

export interface ControlPhase {
  readonly backups: Backups;
  readonly metrics: ClientMetrics;
  readonly ends: Ends;
  readonly reloads: Reloads;
  readonly mirrorMoments: MirrorMoments;
  readonly mirrorHealing: MirrorHealing;
  readonly handlers: ControlHandlers;
  /** The figures of a data process for the metrics. */
  readonly figures: () => Promise<ProcessFigures>;
}

export function newControl(
  options: ClientDaemonOptions,
  earlier: Foundation & ServersPhase & VolumesPhase & FrontendsPhase & AttachingPhase,
): ControlPhase {
  const { paths, clock, log, beganMs, keeper } = options;
  const { namespaces, offers, role, record, attachments } = earlier;
  const works = new CommandWorks(clock);
  const backups = new Backups({ clock, log, folder: paths.stateDir, offers, namespaces });
  const metrics = new ClientMetrics({
    ...earlier,
    clock,
    log,
    beganMs,
    backups,
    works,
    restarts: () => (keeper?.inheritance.life ?? 1) - 1 + (role.processes?.restarts ?? 0),
    others: async () => (await role.processes?.figures()) ?? [],
  });
  const ends = new Ends({ ...options, ...earlier });
  const reloads = new Reloads(options, { ...earlier, metrics, ends });
  const { mirrorMoments, ...mirrors } = mirrorCommands({
    clock,
    log,
    attachments,
    namespaces,
    newId: randomUUID,
    elsewhere: role.processes,
  });
  const mirrorHealing = new MirrorHealing({
    clock,
    log,
    newId: randomUUID,
    mirrors: attachments.mirrors,
    namespaces: () => mirrorNamespaces(namespaces.list, clock),
    changes: mirrors.mirrorChanges,
    note: (label, from, to, reason) => earlier.notifications.add(`mirror ${label}`, from, to, reason),
  });
  const own = controlHandlers({
    ...earlier,
    ...mirrors,
    clock,
    log,
    beganMs,
    backups,
    works,
    reloads,
    ends,
    probes: systemPathProbes(clock, namespaces),
    serverCalls: new ServerCalls({ log, absences: earlier.absences, namespaces }),
    notes: new VolumeNotes({ clock, attachments, namespaces }),
  });
  const pause = (): Promise<void> => sleep(clock, 0);
  const figures = (): Promise<ProcessFigures> => processFigures({ clock, attachments, record, namespaces }, pause, true);
  return { backups, metrics, ends, reloads, mirrorMoments, mirrorHealing, handlers: role.handlers(own), figures };
}
