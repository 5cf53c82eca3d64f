// Loaded into a daemon before it starts (`node --import`). A first SIGUSR2 starts the probe: it counts the turns of the event loop, and the
// bytes that JavaScript copies between buffers. If the file RSIO_BENCH_MAP/profile exists, the probe instead profiles the process. A second
// SIGUSR2 ends the probe and writes its findings to RSIO_BENCH_MAP/PID.json. The probe costs nothing before the first signal and after the
// second one. The file PID.there says that a process has loaded the probe.

import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { selfTimes } from './self-times.ts';
import type { Probed } from './probed.ts';

const folder = process.env['RSIO_BENCH_MAP'] ?? '';
type End = () => Probed;
let end: End | null = null;

function countCopies(): End {
  const copy = Buffer.prototype.copy;
  const set = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype) as object, 'set')
    ?.value as typeof Uint8Array.prototype.set;
  const turnsBefore = performance.nodeTiming.uvMetricsInfo.loopCount;
  let copiedBytes = 0;
  let copies = 0;
  Buffer.prototype.copy = function (this: Buffer, ...args: Parameters<Buffer['copy']>): number {
    const bytes = copy.apply(this, args);
    copiedBytes += bytes;
    copies++;
    return bytes;
  };
  Uint8Array.prototype.set = function (this: Uint8Array, source: ArrayLike<number>, offset?: number): void {
    set.call(this, source, offset);
    copiedBytes += source.length;
    copies++;
  };
  return () => {
    Buffer.prototype.copy = copy;
    // The original method is inherited, so that deleting the override restores it.
    Reflect.deleteProperty(Uint8Array.prototype, 'set');
    return { copiedBytes, copies, turns: performance.nodeTiming.uvMetricsInfo.loopCount - turnsBefore, functions: [] };
  };
}

function profile(): End {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: 200 });
  session.post('Profiler.start');
  return () => {
    let profiled: Profiler.Profile | null = null;
    session.post('Profiler.stop', (_error, found) => {
      profiled = found.profile;
    });
    session.disconnect();
    return { copiedBytes: 0, copies: 0, turns: 0, functions: profiled === null ? [] : selfTimes(profiled) };
  };
}

writeFileSync(join(folder, `${process.pid}.there`), '');
process.on('SIGUSR2', () => {
  if (end === null) {
    end = existsSync(join(folder, 'profile')) ? profile() : countCopies();
    return;
  }
  const found = end();
  end = null;
  const file = join(folder, `${process.pid}.json`);
  // Renames the complete file, so that a reader never sees an incomplete file.
  writeFileSync(`${file}.new`, JSON.stringify(found));
  renameSync(`${file}.new`, file);
});
