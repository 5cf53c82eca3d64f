// What this machine has for devices, looked at anew each time, as modules are loaded and unloaded.
// Leaves to device-choice.ts what follows from it.

import { existsSync } from 'node:fs';
import type { DeviceFacts } from './device-choice.ts';

/** `root`: that of the daemon's files; '' is the real one. */
export function deviceFacts(root: string): DeviceFacts {
  return {
    hasOwnRoot: root !== '',
    isRoot: process.geteuid?.() === 0,
    hasFuse: existsSync('/dev/fuse'),
    hasLoop: existsSync('/dev/loop-control'),
  };
}
