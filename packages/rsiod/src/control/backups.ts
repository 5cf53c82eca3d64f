// Remembers, across restarts and reboots, when `rsconfig backup` last backed up each volume on this machine. The metrics show these times,
// so that monitoring can report missing backups. The backups themselves are files of the administrator. Invariant: at most BACKUPS_KEPT_MAX
// volumes are remembered, those with the newest backups; a damaged file never prevents the daemon from starting.

import { StateFile } from '@rsio/common/files/state-file';
import { BACKUP, type BackupView, type ControlMethods } from '@rsio/common/control/methods';
import type { Clock } from '@rsio/common/lib/clock';
import { toRsError } from '@rsio/common/lib/errors';
import { atMost, list, object, type Of } from '@rsio/common/lib/shape';
import type { Log } from '@rsio/common/log/log';
import { BACKUPS_KEPT_MAX } from './limits.ts';

const CONTENT = object({ backups: atMost(BACKUPS_KEPT_MAX, list(BACKUP)) });

export interface BackupsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly folder: string;
}

const REMEDY = 'remove it; when volumes were backed up is then not known until the next backup';

export class Backups {
  private readonly ports: BackupsPorts;
  private readonly file: StateFile<Of<typeof CONTENT>>;
  private kept: readonly BackupView[] = [];

  constructor(ports: BackupsPorts) {
    this.ports = ports;
    const form = { version: 1, shape: CONTENT, remedy: REMEDY };
    this.file = new StateFile(`${ports.folder}/backups.json`, form, () => ({ backups: this.kept }));
  }

  get list(): readonly BackupView[] {
    return this.kept;
  }

  async load(): Promise<void> {
    try {
      this.kept = (await this.file.load())?.backups ?? [];
    } catch (thrown) {
      this.ports.log.warn(toRsError(thrown).message);
    }
  }

  /** Called when a backup is complete. Resolves when the time is durable in the file. Throws E_SYSTEM. */
  async done({ namespace, name, universe, snapshot }: ControlMethods['backup-done']['params']): Promise<void> {
    const others = this.kept.filter((one) => one.namespace !== namespace || one.name !== name || one.universe !== universe);
    const made = { namespace, name, universe, snapshot, atMs: Math.floor(this.ports.clock.wallMs()) };
    this.kept = [...others, made].slice(-BACKUPS_KEPT_MAX);
    await this.file.save();
    this.ports.log.info(`Snapshot ${snapshot} of volume ${namespace}:${name}@${universe} is backed up`);
  }
}
