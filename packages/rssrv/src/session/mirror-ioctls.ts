// Answers the IOCTLs about the intent map of a mirror's replica.
// Invariant: only the handle of a replica has an intent map.

import { MIRROR_MAP_PART_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { decodeMirrorClearRequest, decodeMirrorMapRequest, encodeMirrorMapAnswer } from '@rsio/protocol/wire/mirror-codec';
import { IOCTL } from '@rsio/protocol/wire/messages';
import type { IntentView } from '../storage/io/backend.ts';

export function isMirrorIoctl(number: number): boolean {
  return number === IOCTL.MIRROR_MAP || number === IOCTL.MIRROR_CLEAR;
}

/** Returns the body of the answer, or null if the answer has no body. Throws E_PROTOCOL if the request is not well formed. */
export function mirrorIoctl(intents: IntentView, number: number, body: Buffer): Buffer | null {
  if (number === IOCTL.MIRROR_CLEAR) {
    intents.clear(decodeMirrorClearRequest(body, 0, body.length).ranges);
    return null;
  }
  const { first } = decodeMirrorMapRequest(body, 0, body.length);
  return encodeMirrorMapAnswer({ regions: intents.regions, first, bits: intents.read(first, MIRROR_MAP_PART_MAX_BYTES) });
}
