// Answers the IOCTLs of a replica of a mirror: its intent map, and whether the handle may still be used. Invariant: a handle that is no
// replica has none of them.

import { MIRROR_MAP_PART_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { decodeMirrorClearRequest, decodeMirrorMapRequest, encodeMirrorMapAnswer } from '@rsio/protocol/wire/mirror/codec';
import { IOCTL } from '@rsio/protocol/wire/messages';
import type { IntentView } from '../backends/io/backend.ts';

export function isMirrorIoctl(number: number): boolean {
  return number === IOCTL.MIRROR_MAP || number === IOCTL.MIRROR_CLEAR || number === IOCTL.TERM;
}

/** Returns the body of the answer; null: it has none. Throws E_PROTOCOL if the request is not well formed. */
export function mirrorIoctl(intents: IntentView, number: number, body: Buffer): Buffer | null {
  switch (number) {
    case IOCTL.MIRROR_MAP: {
      const { first } = decodeMirrorMapRequest(body, 0, body.length);
      return encodeMirrorMapAnswer({ regions: intents.regions, first, bits: intents.read(first, MIRROR_MAP_PART_MAX_BYTES) });
    }
    case IOCTL.MIRROR_CLEAR:
      intents.clear(decodeMirrorClearRequest(body, 0, body.length).ranges);
      return null;
    default:
      // A handle that was revoked does not get here.
      return null;
  }
}
