// Makes the text that completes "held by" for the I/O of a client on a volume. The client receives the text in its list of volumes. Pure.
// Invariant: the text is no longer than a short text of the protocol.

import type { IoLimits } from '@rsio/common/config/schema/types';
import { printSize } from '@rsio/common/lib/units';
import { formatTime } from '@rsio/common/log/log-line';
import type { HaltFacts } from './halts.ts';
import type { HeldBy } from './throttle-messages.ts';

/** `own`: limits of the volume. `ofClient`: limits of the client. */
export function heldText(by: HeldBy | 'stop', own: IoLimits | null, ofClient: IoLimits | null, halt: HaltFacts | null): string {
  switch (by) {
    case 'stop':
      return 'a stop by an administrator of the server';
    case 'pause':
      return halt?.untilMs === undefined || halt.untilMs === null ? 'a pause' : `a pause until ${formatTime(halt.untilMs)}`;
    case 'iops':
      return limitText('its', iopsText(own));
    case 'bandwidth':
      return limitText('its', bandwidthText(own));
    case 'client-iops':
      return limitText("the client's", iopsText(ofClient));
    case 'client-bandwidth':
      return limitText("the client's", bandwidthText(ofClient));
  }
}

/** Returns the text for a limit. `what` is null if the limit was removed after the session had reported that the limit holds I/O. */
function limitText(whose: string, what: string | null): string {
  return what === null ? `${whose} limit` : `${whose} limit of ${what}`;
}

function iopsText(limits: IoLimits | null): string | null {
  return limits === null || limits.iops === null ? null : `${limits.iops} iops`;
}

function bandwidthText(limits: IoLimits | null): string | null {
  return limits === null || limits.bytesPerSecond === null ? null : `${printSize(limits.bytesPerSecond)} bytes per second`;
}
