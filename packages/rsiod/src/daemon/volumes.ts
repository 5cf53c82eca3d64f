// The third phase of the objects of rsiod: the role of this process, and the state of its volumes, which frontends and attachments share:
// which volumes are attached, who has them, and what is recorded for the next process.

import { AttachedRecord } from '../attachments/attached-record.ts';
import { AttachedVolumes } from '../attachments/attached-volumes.ts';
import { serverOf } from '../attachments/volume-servers.ts';
import { ProcessRole } from '../processes/role.ts';
import type { Volume } from '../volumes/volume.ts';
import type { ClientDaemonOptions, Foundation } from './foundation.ts';
import type { ServersPhase } from './servers.ts';

export interface VolumesPhase {
  readonly role: ProcessRole;
  readonly volumes: AttachedVolumes;
  readonly record: AttachedRecord<Volume>;
}

export function newVolumes(options: ClientDaemonOptions, earlier: Foundation & ServersPhase): VolumesPhase {
  const role = new ProcessRole(options, earlier);
  const attached = new AttachedVolumes();
  const record = new AttachedRecord<Volume>({
    log: options.log,
    boot: options.identity.boot,
    volumes: attached,
    store: (content) => role.store(content),
    serverOf: (volume) => serverOf(earlier.namespaces.list, volume),
  });
  return { role, volumes: attached, record };
}
