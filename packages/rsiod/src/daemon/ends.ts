// How rsiod ends or is replaced: in which state of its life it is, and what refuses an end. The daemon answers a request for its end before it
// ends. Invariant: without force, devices in use refuse the end.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { AttachedVolumes } from '../attachments/attached-volumes.ts';
import { whyInUse, whyNotReplaced } from '../attachments/final-flush.ts';
import { RESTART_ANSWER_MS } from '../control/limits.ts';
import type { Frontends } from '../frontends/frontends.ts';
import type { Ending } from '../processes/messages.ts';
import type { ProcessRole } from '../processes/role.ts';

interface EndsParts {
  readonly clock: Pick<Clock, 'after'>;
  /** Null if there is no keeper. */
  readonly keeper: object | null;
  readonly restart: () => Promise<void>;
  readonly stop: () => void;
  readonly volumes: AttachedVolumes;
  readonly frontends: Frontends;
  readonly role: Pick<ProcessRole, 'processes'>;
}

export class Ends {
  state: 'starting' | 'running' | 'restarting' | 'ending' = 'starting';
  private readonly parts: EndsParts;
  /** True if the daemon must stop even while its devices are in use. */
  private isForced = false;

  constructor(parts: EndsParts) {
    this.parts = parts;
  }

  /** Resolves with the reason if devices in use prevent the end of this process; null if it may end. */
  async refusal(ending: Ending): Promise<string | null> {
    const { volumes, frontends, role } = this.parts;
    if (this.isForced && ending === 'stop') return null;
    const why = ending === 'stop' ? whyInUse : whyNotReplaced;
    return (await why(volumes.list, frontends)) ?? (await role.processes?.refusal(ending)) ?? null;
  }

  /** Restarts the daemon after the answer to the request has been sent. Throws E_SHUTTING_DOWN, E_SYSTEM and E_IN_USE. */
  async restart(): Promise<void> {
    const { clock, keeper, restart } = this.parts;
    if (keeper === null) throw new RsError('E_SYSTEM', 'This rsiod has no keeper, which a restart needs: stop it and start it again');
    const refusal = this.state === 'running' ? await this.refusal('restart') : null;
    // A second request during a restart needs no second restart, because the next process has read neither the program nor the
    // configuration yet.
    if (this.state === 'restarting') return;
    this.checkRunning();
    if (refusal !== null) throw new RsError('E_IN_USE', refusal);
    this.state = 'restarting';
    clock.after(RESTART_ANSWER_MS, () => void restart());
  }

  /** Stops the daemon after the answer to the request has been sent. Throws E_IN_USE. */
  async end(isForced: boolean): Promise<void> {
    this.isForced ||= isForced;
    const refusal = await this.refusal('stop');
    if (refusal !== null) throw new RsError('E_IN_USE', refusal);
    const { clock, stop } = this.parts;
    clock.after(RESTART_ANSWER_MS, stop);
  }

  /** Throws E_SHUTTING_DOWN if the daemon is starting or ending. */
  checkRunning(): void {
    if (this.state !== 'running') throw new RsError('E_SHUTTING_DOWN', 'rsiod is starting or ending: try again');
  }
}
