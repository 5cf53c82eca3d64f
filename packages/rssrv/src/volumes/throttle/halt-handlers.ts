// Executes the methods that pause and stop volumes. Invariants: only an administrator may give these orders, because they stop programs
// on other machines. An order to pause or stop a volume is logged with its asker.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { HALT_METHODS } from '@rsio/api/rssrv/volume-methods';
import type { ManagedVolumeView } from '@rsio/api/views/views';
import { RsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { eventOf } from '../../events/event-log.ts';
import type { Asker } from '../../pools/asker.ts';
import type { VolumeName } from '../../pools/catalogue.ts';
import type { Halts } from './halts.ts';

/** `show` throws E_UNKNOWN_VOLUME if the server does not have the volume. */
export function haltHandlers(
  log: Pick<Log, 'warn'>,
  halts: Halts,
  show: (volume: VolumeName) => Promise<{ readonly volume: ManagedVolumeView }>,
  asker: Asker,
): HandlersOf<typeof HALT_METHODS> {
  const { by } = asker;
  const found = async ({ name, universe }: VolumeName, what: string): Promise<{ readonly id: string; readonly text: string }> => {
    asker.needs('admin', `${what} volumes`);
    const { volume } = await show({ name, universe });
    const text = `${volume.name}@${volume.universe}`;
    if (volume.id === null) throw new RsError('E_VOLUME', `Volume ${text} is not served, so that it has no I/O`, { volume: text });
    return { id: volume.id, text };
  };
  /** `show` may answer more than a change does. */
  const changed = async (named: VolumeName): Promise<{ readonly volume: ManagedVolumeView }> => {
    const { volume } = await show(named);
    return { volume };
  };
  const note = (text: string, from: string, to: string, sentence: string): void =>
    log.warn(`Volume ${text}: ${sentence}, by ${by}`, { ...eventOf(`volume ${text}`, from, to, `${sentence}, by ${by}`), audit: true });
  return {
    'volume-pause': async ({ name, universe, forMs }) => {
      const { id, text } = await found({ name, universe }, 'pause');
      if (halts.facts(id)?.kind === 'stopped')
        throw new RsError('E_USAGE', `Volume ${text} is stopped: rsadm volume start ${text} starts it first`, { volume: text });
      halts.pause(id, forMs, asker.node);
      note(text, 'served', 'paused', `its I/O is paused for ${printDuration(forMs)}`);
      return changed({ name, universe });
    },
    'volume-resume': async ({ name, universe }) => {
      const { id, text } = await found({ name, universe }, 'resume');
      if (halts.resume(id)) note(text, 'paused', 'served', 'its I/O goes on');
      return changed({ name, universe });
    },
    'volume-stop': async ({ name, universe }) => {
      const { id, text } = await found({ name, universe }, 'stop');
      if (await halts.stop(id, asker.node)) note(text, 'served', 'stopped', 'its I/O is refused until it is started');
      return changed({ name, universe });
    },
    'volume-start': async ({ name, universe }) => {
      const { id, text } = await found({ name, universe }, 'start');
      if (await halts.start(id)) note(text, 'stopped', 'served', 'its I/O goes on');
      return changed({ name, universe });
    },
  };
}
